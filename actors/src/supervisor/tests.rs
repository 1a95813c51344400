//! Actors that panic, fail, stop and are killed on command.

use std::sync::atomic::AtomicUsize;

use super::*;

/// What a test tells its actor to do.
#[derive(Debug)]
enum Order {
    Panic,
    Fail,
    Stop,
}

/// Counts starts and stops, publishes its handle, obeys orders.
#[derive(Debug, Default)]
struct Probe {
    starts: AtomicUsize,
    failing_starts: AtomicUsize,
    handle: Mutex<Option<ActorRef<Order>>>,
    log: Option<Arc<Mutex<Vec<String>>>>,
    name: String,
}

impl Probe {
    fn new(name: &str, log: &Arc<Mutex<Vec<String>>>) -> Arc<Self> {
        Arc::new(Probe { name: name.to_owned(), log: Some(log.clone()), ..Probe::default() })
    }

    fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    fn order(&self, order: Order) {
        let handle = self.handle.lock().unwrap().clone().expect("the probe started once");
        handle.cast(order).expect("the probe runs");
    }

    fn note(&self, what: &str) {
        if let Some(log) = &self.log {
            log.lock().unwrap().push(format!("{} {what}", self.name));
        }
    }
}

struct ProbeActor;

impl Actor for ProbeActor {
    type Msg = Order;
    type State = Arc<Probe>;
    type Arguments = Arc<Probe>;

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        probe: Arc<Probe>,
    ) -> Result<Arc<Probe>, ActorProcessingErr> {
        probe.starts.fetch_add(1, Ordering::SeqCst);
        let failing = &probe.failing_starts;
        if failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err("cannot start now".into());
        }
        *probe.handle.lock().unwrap() = Some(myself);
        Ok(probe)
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        _: &mut Arc<Probe>,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Panic => panic!("a probe was told to panic"),
            Order::Fail => Err("a probe was told to fail".into()),
            Order::Stop => {
                myself.stop(None);
                Ok(())
            }
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<Order>,
        probe: &mut Arc<Probe>,
    ) -> Result<(), ActorProcessingErr> {
        probe.note("stopped");
        Ok(())
    }
}

struct Family {
    probes: Vec<Arc<Probe>>,
    log: Arc<Mutex<Vec<String>>>,
}

const NAMES: [&str; 3] = ["eldest", "middle", "youngest"];

impl Family {
    fn new() -> Self {
        let log = Arc::default();
        Family { probes: NAMES.iter().map(|name| Probe::new(name, &log)).collect(), log }
    }

    fn plan(&self, strategy: Strategy, restarts: usize) -> Plan {
        let child = |probe: &Arc<Probe>| {
            let probe = probe.clone();
            Child::actor(probe.name.clone(), move || (ProbeActor, probe.clone()))
        };
        Plan {
            name: "family".to_owned(),
            strategy,
            budget: Budget { restarts, window: Duration::from_secs(60) },
            children: self.probes.iter().map(child).collect(),
            on_restart: None,
        }
    }

    fn starts(&self) -> Vec<usize> {
        self.probes.iter().map(|probe| probe.starts()).collect()
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn all_run(supervisor: &Supervisor) -> bool {
    supervisor.health().iter().all(|child| child.state == ChildState::Running)
}

#[tokio::test]
async fn one_for_one_restarts_only_the_child_that_panicked() {
    let family = Family::new();
    let supervisor = Supervisor::start(family.plan(Strategy::OneForOne, 10)).await.unwrap();
    family.probes[0].order(Order::Panic);
    eventually("the eldest runs again", || family.starts() == [2, 1, 1]).await;
    eventually("all run", || all_run(&supervisor)).await;
    let restarts: Vec<u64> = supervisor.health().iter().map(|child| child.restarts).collect();
    assert_eq!(restarts, [1, 0, 0]);
    supervisor.shutdown().await;
}

#[tokio::test]
async fn rest_for_one_restarts_the_younger_too_and_never_the_elder() {
    let family = Family::new();
    let supervisor = Supervisor::start(family.plan(Strategy::RestForOne, 10)).await.unwrap();
    family.probes[1].order(Order::Fail);
    eventually("middle and youngest run again", || family.starts() == [1, 2, 2]).await;
    assert_eq!(*family.log.lock().unwrap(), ["youngest stopped"]);
    supervisor.shutdown().await;
}

#[tokio::test]
async fn killed_and_stopped_children_are_restarted_like_failed_ones() {
    let family = Family::new();
    let supervisor = Supervisor::start(family.plan(Strategy::OneForOne, 10)).await.unwrap();
    assert!(supervisor.kill("middle"));
    assert!(!supervisor.kill("stranger"));
    family.probes[2].order(Order::Stop);
    eventually("both run again", || family.starts() == [1, 2, 2] && all_run(&supervisor)).await;
    supervisor.shutdown().await;
}

#[tokio::test]
async fn a_restart_whose_start_fails_is_tried_again_with_a_longer_pause() {
    let family = Family::new();
    let supervisor = Supervisor::start(family.plan(Strategy::RestForOne, 10)).await.unwrap();
    family.probes[1].failing_starts.store(3, Ordering::SeqCst);
    let before = Instant::now();
    assert!(supervisor.kill("middle"));
    eventually("all run", || family.starts() == [1, 5, 2] && all_run(&supervisor)).await;
    // 100 + 200 + 400 + 800 ms.
    assert!(before.elapsed() >= Duration::from_millis(1500), "{:?}", before.elapsed());
    supervisor.shutdown().await;
}

#[tokio::test]
async fn a_child_that_cannot_start_at_all_is_an_error_and_leaves_nothing_running() {
    let family = Family::new();
    family.probes[2].failing_starts.store(1, Ordering::SeqCst);
    let error = Supervisor::start(family.plan(Strategy::OneForOne, 10)).await.unwrap_err();
    assert_eq!(error.to_string(), "youngest did not start: cannot start now");
    assert_eq!(*family.log.lock().unwrap(), ["middle stopped", "eldest stopped"]);
}

#[tokio::test]
async fn an_exhausted_budget_stops_everything_and_says_why() {
    let family = Family::new();
    let supervisor = Supervisor::start(family.plan(Strategy::OneForOne, 2)).await.unwrap();
    for round in 1..=3 {
        family.probes[1].order(Order::Fail);
        eventually("it restarts or gives up", || {
            family.starts()[1] == round + 1 && all_run(&supervisor)
                || supervisor.health().iter().all(|child| child.state == ChildState::Stopped)
        })
        .await;
    }
    let ended = supervisor.ended().await.unwrap_err();
    assert_eq!(
        ended.to_string(),
        "family gave up: middle kept failing, last with: a probe was told to fail"
    );
    assert_eq!(*family.log.lock().unwrap(), ["youngest stopped", "eldest stopped"]);
}

#[tokio::test]
async fn failures_far_apart_never_exhaust_the_budget() {
    let family = Family::new();
    let mut plan = family.plan(Strategy::OneForOne, 1);
    plan.budget.window = Duration::from_millis(50); // shorter than the pause before a restart
    let supervisor = Supervisor::start(plan).await.unwrap();
    for round in 1..6 {
        family.probes[0].order(Order::Panic);
        eventually("it runs again", || family.starts()[0] == round + 1 && all_run(&supervisor))
            .await;
    }
    supervisor.shutdown().await;
}

#[tokio::test]
async fn a_nested_supervisor_that_gives_up_is_restarted_by_its_parent() {
    let (family, log) = (Family::new(), Arc::default());
    let neighbour = Probe::new("neighbour", &log);
    let beside = neighbour.clone();
    let plan = Plan {
        name: "root".to_owned(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 5, window: Duration::from_secs(60) },
        children: vec![
            Child::supervisor(family.plan(Strategy::OneForOne, 0)),
            Child::actor("neighbour", move || (ProbeActor, beside.clone())),
        ],
        on_restart: None,
    };
    let supervisor = Supervisor::start(plan).await.unwrap();
    assert!(supervisor.kill("youngest"), "it is found in the nested supervisor");
    eventually("the family starts afresh", || family.starts() == [2, 2, 2]).await;
    eventually("its children are shown", || {
        all_run(&supervisor)
            && supervisor.health()[0].children.iter().all(|c| c.state == ChildState::Running)
    })
    .await;
    assert_eq!(supervisor.health()[0].restarts, 1);
    assert!(supervisor.kill("family"), "a supervisor can be killed too");
    eventually("the family starts once more", || family.starts() == [3, 3, 3]).await;
    assert_eq!(neighbour.starts(), 1);
    supervisor.shutdown().await;
}

#[tokio::test]
async fn shutdown_stops_the_youngest_first() {
    let family = Family::new();
    let supervisor = Supervisor::start(family.plan(Strategy::RestForOne, 10)).await.unwrap();
    supervisor.shutdown().await;
    assert_eq!(
        *family.log.lock().unwrap(),
        ["youngest stopped", "middle stopped", "eldest stopped"]
    );
    assert_eq!(supervisor.ended().await, Ok(()));
}

#[tokio::test]
async fn the_restart_hook_hears_of_every_restart() {
    let (family, heard) = (Family::new(), Arc::new(Mutex::new(Vec::new())));
    let hook = heard.clone();
    let mut plan = family.plan(Strategy::RestForOne, 10);
    plan.on_restart = Some(Arc::new(move |child| hook.lock().unwrap().push(child.to_owned())));
    let supervisor = Supervisor::start(plan).await.unwrap();
    assert!(supervisor.kill("middle"));
    eventually("both run again", || family.starts() == [1, 2, 2]).await;
    assert_eq!(*heard.lock().unwrap(), ["middle", "youngest"]);
    supervisor.shutdown().await;
}
