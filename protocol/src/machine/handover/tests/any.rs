//! Owners that do anything: whatever they do, each pair is kept or left, once, in bounded time.

use proptest::prelude::*;

use super::*;

/// What an owner does with a page, and how long it takes.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Gives,
    Lacks,
    BreaksOff,
    IsBusy,
    IsAbsent,
    Refuses,
    Lies,
    IsSilent,
}

/// Longer than anybody's patience.
const KEEPING_MS: u64 = 35_000;

fn deeds() -> impl Strategy<Value = Vec<(Deed, u64, usize)>> {
    let deed = prop_oneof![
        4 => Just(Deed::Gives),
        2 => Just(Deed::Lacks),
        2 => Just(Deed::BreaksOff),
        1 => Just(Deed::IsBusy),
        1 => Just(Deed::IsAbsent),
        1 => Just(Deed::Refuses),
        1 => Just(Deed::Lies),
        1 => Just(Deed::IsSilent),
    ];
    proptest::collection::vec((deed, 0..40_000_u64, 0..8_usize), 1..40)
}

/// A page on its way.
struct Flight {
    request: u64,
    pairs: Vec<Pair>,
    at: u64,
    deed: Deed,
    part: usize,
    /// Whether all of it has come, and is being kept.
    has_come: bool,
}

impl Flight {
    fn end(self) -> Input {
        let some: Vec<_> = self.pairs.iter().copied().take(self.part).collect();
        let (came, how) = match self.deed {
            Deed::Gives => (kept(&self.pairs), DONE),
            Deed::Lacks => {
                let missing = self.pairs.iter().copied().skip(self.part).collect();
                (Came { missing, ..kept(&some) }, DONE)
            }
            Deed::BreaksOff => (kept(&some), How::Over(End::Again { after_ms: 0 })),
            Deed::IsBusy => (Came::default(), How::Over(End::Again { after_ms: 3_000 })),
            Deed::IsAbsent => (Came::default(), How::Over(End::Absent)),
            Deed::Refuses => (Came::default(), How::Over(End::Never)),
            Deed::Lies | Deed::IsSilent => (kept(&some), How::Lied(Blame::WrongProof)),
        };
        ended(self.request, came, how)
    }
}

/// Everything of one run.
struct Run {
    handover: Handover,
    now: u64,
    flights: Vec<Flight>,
    /// What was seen and is neither kept nor left.
    open: BTreeSet<Pair>,
    kept: BTreeSet<Pair>,
    liars: BTreeSet<usize>,
}

impl Run {
    fn feed(&mut self, deeds: &mut impl Iterator<Item = (Deed, u64, usize)>, input: Input) {
        if let Input::Ended { came, .. } = &input {
            self.kept.extend(came.kept.iter().copied());
        }
        for effect in self.handover.handle(Timestamp(self.now), input) {
            match effect {
                Effect::Ask { request, owner, entries } => {
                    assert!(!self.liars.contains(&owner), "a liar is asked again");
                    let page = Request { entries, trace: None };
                    assert!(page.is_sound(8), "{page:?}");
                    let pairs = page.entries.iter().flat_map(|entry| {
                        let id = BlobId::from_bytes(entry.blob_id);
                        entry
                            .shards
                            .iter()
                            .map(move |shard| (id, entry.segment, ShardIndex(*shard)))
                    });
                    let (deed, wait, part) = deeds.next().expect("there is always another");
                    let (request, at) = (request.0, self.now + wait);
                    let pairs = pairs.collect();
                    self.flights.push(Flight { request, pairs, at, deed, part, has_come: false });
                }
                Effect::Cancel { request } => {
                    let place = self.flights.iter().position(|it| it.request == request.0);
                    let flight = self.flights.swap_remove(place.expect("it is on its way"));
                    assert!(!flight.has_come, "what has come is kept");
                }
                Effect::Settled { blob, left, .. } => {
                    let of: Vec<_> = self.open.iter().filter(|it| it.0 == blob).copied().collect();
                    assert!(!of.is_empty(), "settled twice");
                    for pair in of {
                        let is_left = left.contains(&(pair.1, pair.2));
                        assert_ne!(is_left, self.kept.contains(&pair), "kept or left: {pair:?}");
                        self.open.remove(&pair);
                    }
                }
                Effect::Blame { owner, .. } => assert!(self.liars.insert(owner), "blamed twice"),
                Effect::Silent { .. } => {}
            }
        }
        let asked: Vec<_> = self.flights.iter().map(|flight| flight.request).collect();
        for request in asked {
            let effects = self
                .handover
                .handle(Timestamp(self.now), Input::Asked { request: RequestId(request) });
            assert_eq!(effects, [], "a request that leaves changes nothing");
        }
    }

    /// What happens next: a page ends, or the machine's time comes.
    fn step(&mut self, deeds: &mut impl Iterator<Item = (Deed, u64, usize)>) {
        let speaks = |flight: &&Flight| !matches!(flight.deed, Deed::IsSilent);
        let next = self.flights.iter().filter(speaks).min_by_key(|flight| flight.at);
        let next = next.map(|flight| (flight.at.max(self.now), flight.request));
        let deadline = self.handover.deadline().map(|at| at.0.max(self.now));
        match (next, deadline) {
            (Some((at, request)), deadline) if deadline.is_none_or(|it| at <= it) => {
                self.now = at;
                let place = self.flights.iter().position(|it| it.request == request);
                let place = place.expect("it was just found");
                let flight = &mut self.flights[place];
                // Of every other page what came is not kept at once.
                if request % 2 == 1 && !flight.has_come {
                    (flight.has_come, flight.at) = (true, self.now + KEEPING_MS);
                    let input = Input::Arrived { request: RequestId(request) };
                    return self.feed(deeds, input);
                }
                let input = self.flights.swap_remove(place).end();
                self.feed(deeds, input);
            }
            (_, Some(deadline)) => {
                self.now = deadline;
                self.feed(deeds, Input::TimeReached);
            }
            (_, None) => panic!("nothing will ever happen, and {} pairs are open", self.open.len()),
        }
    }
}

proptest! {
    #[test]
    fn whatever_owners_do_each_pair_is_kept_or_left_once_and_soon(
        deeds in deeds(),
        seen in proptest::collection::vec(proptest::collection::btree_set(0..8_u16, 1..8), 1..12),
        silent in any::<bool>(),
    ) {
        let mut run = Run {
            handover: handover_of(&[1, 2, 3, 5], 1024),
            now: 0,
            flights: Vec::new(),
            open: BTreeSet::new(),
            kept: BTreeSet::new(),
            liars: BTreeSet::new(),
        };
        let last = if silent { Deed::IsSilent } else { Deed::Gives };
        let mut deeds = deeds.into_iter().chain(std::iter::repeat((last, 1_000, 0)));
        let lost: Vec<_> = (0..).zip(&seen).map(|(number, shards)| {
            lost(number, &shards.iter().copied().collect::<Vec<_>>())
        }).collect();
        let pairs = |it: &Lost| it.pairs.iter().map(|(at, shard)| (it.blob, *at, *shard)).collect::<Vec<_>>();
        run.open.extend(lost.iter().flat_map(pairs));
        run.feed(&mut deeds, Input::Seen(lost));
        while !run.open.is_empty() {
            run.step(&mut deeds);
        }
        prop_assert_eq!(run.handover.pages(), 0);
        // Each owner may come to its patience's end once, after it gave something now and then.
        prop_assert!(run.now <= 40 * (40_000 + KEEPING_MS) + 60_000, "{}", run.now);
    }
}
