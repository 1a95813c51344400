//! How fast a node sends for each of its duties.
//!
//! Readers and writers never wait for anybody. While they want something, each other duty has a rate: its share of what they
//! get, and never less than its least; alone, it sends as fast as it can. Promises: no duty sends less than its least rate for
//! the sake of another; beside clients none sends more than its share of what they get, or its least, give or take what is in
//! advance. Does not: know how much the line carries, or read a clock.

use super::Timestamp;
use super::duty::{Duty, PerDuty};
use super::pacing::{Rate, Turn};

/// How much each duty may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shares, one against the other.
    pub weights: PerDuty<u64>,
    /// What each duty may send whatever others want: bytes in advance, and per second. Clients are not held to theirs.
    pub least: PerDuty<Rate>,
    /// How long clients count as company after they asked for something, in milliseconds.
    pub company_ms: u64,
    /// How long a turn may have to be waited for, in milliseconds; who would wait longer is refused.
    pub wait_max_ms: u64,
}

/// What clients were sent lately is forgotten by half in this time.
const HALF_LIFE_MS: u64 = 1_000;

/// What each duty has sent.
#[derive(Clone, Debug)]
pub struct Flows {
    limits: Limits,
    /// Until when each has used up its rate, in microseconds.
    until_us: PerDuty<u64>,
    /// When clients asked last.
    clients: Option<Timestamp>,
    /// What they were sent lately, as of then.
    sent: u64,
}

impl Flows {
    /// Nothing was sent.
    pub fn new(limits: Limits) -> Self {
        Flows { limits, until_us: PerDuty::default(), clients: None, sent: 0 }
    }

    /// So many bytes are to be sent for this duty; unless they are refused, they count as sent.
    pub fn ask(&mut self, duty: Duty, bytes: u64, now: Timestamp) -> Turn {
        if duty == Duty::Clients {
            self.sent = self.lately(now).saturating_add(bytes);
            self.clients = Some(now);
            return Turn::Now;
        }
        let now_us = now.0.saturating_mul(1_000);
        if !self.has_company(now) {
            *self.until_us.of_mut(duty) = now_us;
            return Turn::Now;
        }
        let rate = self.rate(duty, now);
        let until_us = (*self.until_us.of(duty)).max(now_us);
        let ahead_us = rate.after(now_us, rate.advance);
        let wait_ms = until_us.saturating_sub(ahead_us).div_ceil(1_000);
        if wait_ms > self.limits.wait_max_ms {
            return Turn::Later;
        }
        *self.until_us.of_mut(duty) = rate.after(until_us, bytes);
        match wait_ms {
            0 => Turn::Now,
            wait_ms => Turn::After(wait_ms),
        }
    }

    /// What a duty may send beside clients.
    fn rate(&self, duty: Duty, now: Timestamp) -> Rate {
        let least = *self.limits.least.of(duty);
        let weights = &self.limits.weights;
        // Each second adds what a half-life takes: what was sent lately is two seconds' worth.
        let of_clients = self.lately(now) / 2;
        let share = of_clients.saturating_mul(*weights.of(duty)) / weights.clients.max(1);
        Rate { bytes_per_second: least.bytes_per_second.max(share), ..least }
    }

    fn lately(&self, now: Timestamp) -> u64 {
        let Some(at) = self.clients else { return 0 };
        let passed = now.0.saturating_sub(at.0);
        let halves = u32::try_from(passed / HALF_LIFE_MS).unwrap_or(u32::MAX);
        let whole = self.sent.checked_shr(halves).unwrap_or(0);
        // Between two halvings as on a line, which is close enough.
        whole - whole / 2 * (passed % HALF_LIFE_MS) / HALF_LIFE_MS
    }

    fn has_company(&self, now: Timestamp) -> bool {
        self.clients.is_some_and(|at| now.0.saturating_sub(at.0) < self.limits.company_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Rate = Rate { advance: 1_000, bytes_per_second: 1_000 };
    const LIMITS: Limits = Limits {
        weights: PerDuty { clients: 8, repair: 2, handover: 4, challenges: 1 },
        least: PerDuty { clients: LEAST, repair: LEAST, handover: LEAST, challenges: LEAST },
        company_ms: 1_000,
        wait_max_ms: 2_000,
    };

    /// Bytes that a duty sends in twenty seconds beside clients that are sent so many each millisecond, one thing after the other.
    fn sent_beside(duty: Duty, clients: u64) -> u64 {
        let mut flows = Flows::new(LIMITS);
        let (mut sent, mut free_at) = (0, 0);
        for now in 0..20_000 {
            assert_eq!(flows.ask(Duty::Clients, clients, Timestamp(now)), Turn::Now);
            while free_at <= now {
                match flows.ask(duty, 50, Timestamp(now)) {
                    Turn::Now => {}
                    Turn::After(milliseconds) => free_at = now + milliseconds,
                    Turn::Later => panic!("it waits for its own turn each time"),
                }
                sent += 50;
            }
        }
        sent
    }

    #[test]
    fn alone_a_duty_sends_as_fast_as_it_can() {
        let mut flows = Flows::new(LIMITS);
        for _ in 0..1_000 {
            assert_eq!(flows.ask(Duty::Repair, 1 << 20, Timestamp(5)), Turn::Now);
        }
        flows.ask(Duty::Clients, 1, Timestamp(5));
        let ask = |flows: &mut Flows, bytes, at| flows.ask(Duty::Repair, bytes, Timestamp(at));
        assert_eq!(ask(&mut flows, 2_000, 5), Turn::Now, "it is not held against it");
        assert_eq!(ask(&mut flows, 1_500, 5), Turn::After(1_000));
        assert_eq!(ask(&mut flows, 1, 5), Turn::Later, "so many are before it");
        assert_eq!(ask(&mut flows, 1 << 20, 1_005), Turn::Now, "the clients left");
    }

    #[test]
    fn beside_clients_that_want_little_a_duty_has_its_least() {
        let sent = sent_beside(Duty::Repair, 0);
        assert!((19_000..=22_000).contains(&sent), "{sent}");
    }

    #[test]
    fn beside_busy_clients_each_duty_has_its_share_of_what_they_get() {
        // 400,000 bytes per second.
        let of = |duty| sent_beside(duty, 400) / 20;
        assert!((80_000..=120_000).contains(&of(Duty::Repair)), "{}", of(Duty::Repair));
        assert!((160_000..=240_000).contains(&of(Duty::Handover)), "{}", of(Duty::Handover));
    }

    #[test]
    fn clients_never_wait() {
        let mut flows = Flows::new(LIMITS);
        for now in 0..100 {
            flows.ask(Duty::Repair, 1 << 30, Timestamp(now));
            assert_eq!(flows.ask(Duty::Clients, 1 << 30, Timestamp(now)), Turn::Now);
        }
    }
}
