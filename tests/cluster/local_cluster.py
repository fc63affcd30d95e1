"""A real Slurm cluster on this machine: its own daemons, with accounting, and two emulated nodes.

A node is a slurmd in a process namespace of its own, so that all that runs on it can be ended at
once, as a power cut does. Its GPU is a device file with nothing behind it: Slurm hands it out, and
no program can compute on it. Needs root, and the packages that `install` installs.
"""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

NODES = ("node1", "node2")
ACCOUNT = "lab"
PARTITION = "gpu"
# Its jobs take the nodes from those of the other partition, which go back into the queue.
URGENT = "urgent"
COMMANDS = (
    "sacct",
    "sacctmgr",
    "sbatch",
    "scancel",
    "scontrol",
    "sinfo",
    "squeue",
    "srun",
    "sshare",
)
READY_SECONDS = 60

SLURM_CONF = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
# cred_expire is also how long a job waits that is queued again, and 120 seconds otherwise.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
# A node that is back takes jobs again.
ReturnToService=2
KillWait=3
EnforcePartLimits=ALL
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={ports[1]}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
NodeName=DEFAULT CPUs=2 RealMemory=64000 Gres=gpu:1
NodeName={node1} NodeHostname=localhost Port={ports[3]}
NodeName={node2} NodeHostname=localhost Port={ports[4]}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName={partition} Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName={urgent} Nodes=ALL MaxTime=INFINITE PriorityTier=2
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={ports[1]}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[2]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""

DATABASE = """\
create database slurm;
create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm.* to slurm@'127.0.0.1';
create user slurm@localhost identified by 'slurm'; grant all on slurm.* to slurm@localhost;
"""


class Cluster:
    """The cluster; `with` starts it and ends it.

    Args:
        folder: an empty folder for all that it writes; its path must be short, for sockets.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {
            # Behind those of this cluster, what Snakemake and the daemons need.
            "PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        }
        self._running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Cluster":
        self._write_files()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for name in reversed(list(self._running)):
            self._end(name)

    def call(self, command: str, *arguments: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(
            [command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    def jobs(self, *fields: str, duplicates: bool = False) -> list[dict[str, str]]:
        """List the jobs that were ever submitted, by fields of `sacct`, in their order.

        `duplicates`: also the earlier runs of those that were queued again.
        """
        options = ["--duplicates"] if duplicates else []
        listed = self.call(
            "sacct", "-X", "-n", "-P", "-S", "now-1days", *options, "-o", ",".join(fields)
        )
        return [
            dict(zip(fields, line.split("|"), strict=True)) for line in listed.splitlines() if line
        ]

    def start_node(self, name: str) -> None:
        """Start a node; returns before it takes jobs."""
        isolated = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._launch(name, *isolated, "slurmd", "-D", "-N", name)

    def fail_a_node(self, chance: random.Random) -> bool:
        """End one of the nodes that compute, with all that runs on it; it is back in moments.

        Gives whether there was one.
        """
        computing = self.call("squeue", "-h", "-t", "R", "-o", "%N").split()
        if not computing:
            return False
        name = chance.choice(computing)
        self._end(name)
        # Slurm would find out by itself, but later.
        self.call("scontrol", "update", f"nodename={name}", "state=down", "reason=test")
        time.sleep(chance.uniform(0, 2))
        self.start_node(name)
        return True

    def wait_until_idle(self) -> None:
        """Wait until all nodes are there and no job is left."""
        states = ("sinfo", "-h", "-N", "-p", PARTITION, "-o", "%t")
        self._wait("idle", lambda: self.call(*states).split() == ["idle"] * len(NODES))

    def _write_files(self) -> None:
        for name in ("bin", "state", "log", *NODES):
            (self.folder / name).mkdir()
        facts = {"folder": self.folder, "ports": free_ports(5)}
        facts |= {"partition": PARTITION, "urgent": URGENT, "node1": NODES[0], "node2": NODES[1]}
        self._port = facts["ports"][2]
        self._write("slurm.conf", SLURM_CONF.format(**facts))
        self._write("slurmdbd.conf", SLURMDBD_CONF.format(**facts))
        self._write("cgroup.conf", "CgroupPlugin=disabled\n")
        self._write("gres.conf", f"NodeName={','.join(NODES)} Name=gpu File={self.folder}/gpu0\n")
        os.mknod(self.folder / "gpu0", 0o666 | 0o020000, os.makedev(1, 3))
        self._write("munge.key", random.SystemRandom().randbytes(128))
        # The executor takes all variables of Slurm away before it calls srun in a job.
        for name in COMMANDS:
            script = f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec /usr/bin/{name} "$@"\n'
            self._write(f"bin/{name}", script, mode=0o755)

    def _write(self, place: str, content: str | bytes, mode: int = 0o600) -> None:
        path = self.folder / place
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    def _start(self) -> None:
        folder = self.folder
        self._launch(
            "munged", "munged", "--foreground", "--force", f"--socket={folder}/munge.socket",
            f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
            f"--seed-file={folder}/munged.seed",
        )  # fmt: skip
        self._start_database()
        self._launch("slurmdbd", "slurmdbd", "-D", conf="slurmdbd.conf")
        self._wait("slurmdbd", lambda: self.call("sacctmgr", "-n", "list", "cluster") is not None)
        for what in ("cluster test", f"account {ACCOUNT}", f"user root account={ACCOUNT}"):
            self.call("sacctmgr", "-i", "-Q", "add", *what.split())
        self._launch("slurmctld", "slurmctld", "-D")
        self._wait("slurmctld", lambda: "UP" in self.call("scontrol", "ping"))
        for name in NODES:
            self.start_node(name)
        self.wait_until_idle()

    def _start_database(self) -> None:
        data, at = self.folder / "mysql", self.folder / "mysql.socket"
        with open(self.folder / "log" / "install-database", "w") as log:
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
                 "--skip-test-db"], stdout=log, stderr=log, check=True,
            )  # fmt: skip
        self._launch(
            "mariadbd", "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
            f"--socket={at}", f"--pid-file={self.folder}/mariadbd.pid", "--bind-address=127.0.0.1",
            f"--port={self._port}", "--innodb-buffer-pool-size=64M",
        )  # fmt: skip
        ask = ("mariadb", "--no-defaults", "--user=root", f"--socket={at}", "-e")
        self._wait("mariadbd", lambda: self.call(*ask, "select 1"))
        self.call(*ask, DATABASE)

    def _launch(self, name: str, *command: str, conf: str = "slurm.conf") -> None:
        with open(self.folder / "log" / name, "a") as log:
            self._running[name] = subprocess.Popen(
                # It must not outlive the tests, however they end.
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=self.environment | {"SLURM_CONF": f"{self.folder}/{conf}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        if name in NODES:
            # The first process of the namespace; the kernel ends all others with it.
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            for child in children.split():
                os.kill(int(child), signal.SIGKILL)
        else:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, name: str, is_ready: Callable[[], object]) -> None:
        end = time.monotonic() + READY_SECONDS
        said = ""
        while time.monotonic() < end:
            try:
                if is_ready():
                    return
            except subprocess.CalledProcessError as error:
                said = error.stderr
            time.sleep(0.2)
        raise TimeoutError(f"{name} is not ready; logs: {self.folder}/log; {said}")


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens, below those that the system gives to others."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            one = stack.enter_context(socket.socket())
            try:
                one.bind(("127.0.0.1", random.randrange(20000, 32000)))
            except OSError:
                continue
            found.append(one.getsockname()[1])
        return found
