"""A Slurm of one machine, on loopback addresses alone, for tests: munge, the controller and the node's daemon."""

import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class LocalSlurm:
    """`missing`: why it cannot be had here, or nothing; start() raises where it does not come up."""

    def __init__(self):
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        found = {name: shutil.which(name, path=path) for name in PROGRAMS}
        absent = sorted(name for name, program in found.items() if program is None)
        self.missing = f"{', '.join(absent)} not installed (tools/install_deps ci)" if absent else ""
        if os.geteuid() != 0:
            self.missing = self.missing or "Slurm's daemon of a node needs root"
        self.programs = found

    def start(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm-"))
        for name in ("state", "spool", "munge"):
            (self.folder / name).mkdir()
        (self.folder / "munge").chmod(0o700)
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        host, user = socket.gethostname().split(".")[0], getpass.getuser()
        self.conf = str(self.folder / "slurm.conf")
        (self.folder / "slurm.conf").write_text(f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd.log
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SchedulerParameters=sched_interval=1,sched_min_interval=100000
MinJobAge=10
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
""", encoding="utf-8")
        munge = self.folder / "munge"
        # In the foreground, as children of ours: what is started here can be ended.
        self.children = []
        self.begin("munged", "--foreground", "--force", f"--socket={munge}/socket", f"--key-file={key}",
                   f"--pid-file={self.folder}/munged.pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed")
        self.wait(lambda: (munge / "socket").exists(), "munged")
        self.begin("slurmctld", "-D", "-f", self.conf)
        self.begin("slurmd", "-D", "-f", self.conf)
        self.wait(lambda: "idle" in self.ask("sinfo", "-h"), "Slurm")

    def environment(self):
        return {**os.environ, "SLURM_CONF": self.conf}

    def begin(self, name, *arguments):
        self.children.append(subprocess.Popen([self.programs[name], *arguments], env=self.environment(),
                                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                              stderr=subprocess.DEVNULL))

    def ask(self, name, *arguments):
        return subprocess.run([self.programs[name], *arguments], env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, encoding="utf-8").stdout

    def wait(self, what, name):
        deadline = time.monotonic() + 60
        while not what():
            if time.monotonic() > deadline or any(child.poll() is not None for child in self.children):
                self.stop(keep=True)
                raise RuntimeError(f"{name} did not come up; logs are in {self.folder}")
            time.sleep(0.1)

    def stop(self, keep=False):
        for child in reversed(self.children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
