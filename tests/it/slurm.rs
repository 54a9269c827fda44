//! A plan on Slurm: a controller and two nodes on this machine.

use crate::fixture;
use nodulus_test_needs::{Need, skip};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The controller and its nodes, as `slurm.conf` describes them. Ports are of this process, so that several tests may run.
const CONFIGURATION: &str = "\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MaxArraySize=4
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1 RealMemory=8000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=100000,bf_interval=1
SlurmdTimeout=15
MinJobAge=300
";

/// Slurm's daemons, which end with this.
struct Cluster {
    folder: tempfile::TempDir,
    controller: Child,
    nodes: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.nodes.iter_mut().chain([&mut self.controller]) {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|found| found.status.success())
}

impl Cluster {
    /// Starts the daemons. Without Slurm, munge and the right to start them, the check is skipped.
    fn start() -> Option<Self> {
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n");
        let missing: Vec<_> =
            ["slurmctld", "slurmd", "munged"].into_iter().filter(|p| !is_installed(p)).collect();
        if !missing.is_empty() || !is_root {
            let what = if is_root { missing.join(", ") } else { "root".to_owned() };
            skip(
                Need::Slurm,
                &format!("no {what}: install the Debian packages `slurm-wlm` and `munge`, as root"),
            );
            return None;
        }
        if !Command::new("sh").args(["-c", "echo | munge"]).output().unwrap().status.success() {
            fs_err::create_dir_all("/run/munge").unwrap();
            let script = "chown munge /run/munge && runuser -u munge -- munged --force";
            assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["state", "spool-n1", "spool-n2"] {
            fs_err::create_dir_all(folder.path().join(name)).unwrap();
        }
        let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let [controller, first, second] = ports();
        let text = CONFIGURATION
            .replace("{host}", host.trim())
            .replace("{folder}", folder.path().to_str().unwrap())
            .replace("{controller}", &controller.to_string())
            .replace("{first}", &first.to_string())
            .replace("{second}", &second.to_string());
        fs_err::write(folder.path().join("slurm.conf"), text).unwrap();
        let daemon = |arguments: &[&str]| daemon(folder.path(), arguments);
        let controller = daemon(&["slurmctld"]);
        let nodes = ["n1", "n2"].map(|node| daemon(&["slurmd", "-N", node])).into();
        let cluster = Self { folder, controller, nodes };
        cluster.wait("its nodes are idle", || {
            cluster.print("sinfo", &["-h", "-o", "%T %D"]).contains("idle 2")
        });
        Some(cluster)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn print(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(arguments).env("SLURM_CONF", self.configuration()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let log = self.folder.path().join("slurmctld.log");
            let log = fs_err::read_to_string(log).unwrap_or_default();
            assert!(
                begun.elapsed() < Duration::from_mins(4),
                "{what} is not so after 240 s\n{log}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs the program as on a machine of the cluster.
    fn nodulus(&self, arguments: &[&str]) -> String {
        let output = fixture::nodulus(arguments).env("SLURM_CONF", self.configuration()).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nodulus {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait_for_all(&self) {
        self.wait("the queue is empty", || self.print("squeue", &["-h"]).is_empty());
    }
}

/// Three ports that nobody has.
fn ports() -> [u16; 3] {
    #[expect(clippy::disallowed_types, reason = "Slurm's daemons speak over ports of this machine")]
    let sockets = [(); 3].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

fn daemon(folder: &Path, arguments: &[&str]) -> Child {
    let configuration = folder.join("slurm.conf");
    let mut command = Command::new(arguments[0]);
    // In the foreground, so that they end with the test.
    command.args(&arguments[1..]).arg("-D").arg("-f").arg(&configuration);
    command.env("SLURM_CONF", &configuration);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The states of a plan's stages.
fn states(cluster: &Cluster, plan: &str) -> Vec<String> {
    let text = cluster.nodulus(&["status", "--plan", plan, "--json"]);
    let value: Value = serde_json::from_str(&text).unwrap();
    let of = |stage: &Value| stage["state"].as_str().unwrap().to_owned();
    value["stages"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_plan_on_slurm_gives_the_bytes_of_a_local_run_though_a_node_dies_and_it_is_submitted_twice() {
    let Some(mut cluster) = Cluster::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let (pipeline, plan) = (pipeline.to_str().unwrap(), folder.path().join("plan.json"));
    let plan = plan.to_str().unwrap();
    cluster.nodulus(&["plan", pipeline, "-o", plan, "--progress", "none"]);
    let submit = ["submit", "--plan", plan, "--cpus", "1", "--max-memory", "1GiB"];
    let scripts = cluster.nodulus(&[&submit[..], &["--dry-run"]].concat());
    assert_eq!(scripts.matches("#SBATCH --array=").count(), 9, "{scripts}");
    assert!(scripts.contains("#SBATCH --mem=3072M") && scripts.contains("trap again USR1"));

    let submitted = cluster.nodulus(&submit);
    assert_eq!(submitted.matches(" array ").count(), 9, "{submitted}");
    // Again at once: every shard is made once or found made.
    cluster.nodulus(&submit);
    // A node dies, and comes back.
    let mut node = cluster.nodes.pop().unwrap();
    node.kill().unwrap();
    node.wait().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    cluster.nodes.push(daemon(cluster.folder.path(), &["slurmd", "-N", "n2"]));
    // So does the controller.
    cluster.controller.kill().unwrap();
    cluster.controller.wait().unwrap();
    cluster.controller = daemon(cluster.folder.path(), &["slurmctld"]);
    cluster.wait("the controller answers", || !cluster.print("sinfo", &["-h"]).is_empty());
    // What a death left undone is submitted again, alone.
    for _ in 0..5 {
        cluster.wait("no job runs or can run", || {
            let jobs = cluster.print("squeue", &["-h", "-o", "%T %r"]);
            jobs.lines().all(|job| job.contains("DependencyNeverSatisfied"))
        });
        cluster.print("scancel", &["--user", "root"]);
        cluster.wait_for_all();
        if states(&cluster, plan).iter().all(|state| state == "committed") {
            break;
        }
        cluster.nodulus(&submit);
    }
    let found = states(&cluster, plan);
    assert!(found.iter().all(|state| state == "committed"), "{found:?}");
    assert!(cluster.nodulus(&submit).starts_with("nothing to submit"));
    let mut found = fixture::outputs(&folder.path().join("store"));
    found.retain(|name, _| !name.starts_with("plans/") && !name.starts_with("training_log/"));
    let mut expected = fixture::outputs(&fixture::finished().join("store"));
    // The training log has seconds.
    expected.retain(|name, _| !name.starts_with("training_log/"));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(&found[name] == bytes, "{name}");
    }
}
