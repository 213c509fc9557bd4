//! One simulated agent: connects, greets, declares, sends, and sends again what was not
//! acknowledged when its connection was lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use hostwell_agent::tls::{TlsConfig, endpoint};
use hostwell_proto::wire::agent_message::Kind;
use hostwell_proto::wire::collector_message::Kind as Answer;
use hostwell_proto::wire::intake_client::IntakeClient;
use hostwell_proto::wire::{AgentMessage, Batch, CollectorMessage, SequenceRange, Welcome};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::script::Script;
use super::tally::Tally;
use crate::speaker::now_ms;

/// A connection and its greeting take at most this long.
const GREETING: Duration = Duration::from_secs(60);
/// After the last batch answers are waited for this long.
const FAREWELL: Duration = Duration::from_secs(30);
/// Messages between an agent and its connection; more than any window, so that sending never waits.
const OUTBOX: usize = 1100;
/// An agent that was turned away comes back after this time, doubled each time.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What all agents of a run are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// What to do.
    pub phase: Phase,
    /// Grows with every storm: whoever hears another number drops its connection.
    pub storm: u32,
}

/// The stretches of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connect, and send the present.
    Ramp,
    /// Send everything.
    Run,
    /// Nothing new.
    Stop,
}

/// How agents of a run behave.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Of the collector.
    pub url: String,
    /// What to trust.
    pub tls: TlsConfig,
    /// Between two batches of the present; none when only the backlog is sent.
    pub pace: Option<Duration>,
    /// Between two samples.
    pub interval: Duration,
    /// Samples of each series in a batch.
    pub ticks: usize,
}

/// One agent.
pub struct Agent {
    /// Its place in the fleet.
    pub number: usize,
    /// What it says.
    pub script: Script,
    /// Packed batches of the past, oldest first.
    pub backlog: std::vec::IntoIter<Vec<u8>>,
    /// How it behaves.
    pub manner: Arc<Manner>,
    /// What it has seen.
    pub tally: Arc<Tally>,
    /// What it is told.
    pub word: watch::Receiver<Word>,
    /// When its first batch of the present is due.
    pub first: Instant,
    sequence: u64,
    /// The newest time it has sent of the present.
    last_ms: Option<i64>,
    /// It has nothing of the past left to send, and has said so.
    told: bool,
    /// Sent and not answered: when, if it counts, and what.
    open: BTreeMap<u64, (Option<Instant>, Vec<u8>)>,
}

/// A connection that was welcomed.
struct Session {
    say: Option<mpsc::Sender<AgentMessage>>,
    answers: Streaming<CollectorMessage>,
    window: usize,
}

impl Agent {
    /// An agent that has not begun.
    pub fn new(
        (number, script): (usize, Script),
        backlog: Vec<Vec<u8>>,
        manner: Arc<Manner>,
        tally: Arc<Tally>,
        word: watch::Receiver<Word>,
        first: Instant,
    ) -> Agent {
        Agent {
            number,
            script,
            told: backlog.is_empty(),
            backlog: backlog.into_iter(),
            manner,
            tally,
            word,
            first,
            sequence: 0,
            last_ms: None,
            open: BTreeMap::new(),
        }
    }

    /// Works until it is told to stop; answers how many batches nobody acknowledged.
    pub async fn run(mut self) -> usize {
        let pace = self.manner.pace.unwrap_or(Duration::from_secs(86_400));
        let mut ticks = interval_at(self.first, pace);
        // What an outage delayed is sent behind it, as from a spool.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut wait, longest) = BACKOFF;
        loop {
            let storm = self.word.borrow().storm;
            match timeout(GREETING, self.open()).await {
                Ok(Ok(session)) => {
                    wait = BACKOFF.0;
                    self.tally.welcomed();
                    let ended = self.exchange(session, &mut ticks, storm).await;
                    self.tally.parted();
                    match ended {
                        Ok(true) => return self.open.len(),
                        Ok(false) => continue,
                        Err(error) => self.tally.trouble(format!("{error:#}")),
                    }
                }
                Ok(Err(error)) => self.tally.trouble(format!("{error:#}")),
                Err(_) => self.tally.trouble("no welcome came".to_owned()),
            }
            if self.word.borrow().phase == Phase::Stop {
                return self.open.len();
            }
            sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    /// Connects as an agent does, every file read anew.
    async fn open(&mut self) -> anyhow::Result<Session> {
        let channel = endpoint(&self.manner.url, &self.manner.tls)?;
        let channel = channel.connect().await?;
        let (say, said) = mpsc::channel(OUTBOX);
        say.send(message(Kind::Hello(self.script.hello(now_ms()))))
            .await?;
        let mut client = IntakeClient::new(channel);
        let opened = client.stream(ReceiverStream::new(said)).await;
        let mut answers = opened.map_err(|s| anyhow!("{}", s.message()))?.into_inner();
        let first = answers.message().await;
        let welcome = match first
            .map_err(|s| anyhow!("{}", s.message()))?
            .and_then(|m| m.kind)
        {
            Some(Answer::Welcome(welcome)) => welcome,
            Some(Answer::Refusal(refusal)) => {
                self.tally.refused(refusal.reason().as_str_name());
                bail!("refused: {}", refusal.message);
            }
            _ => bail!("the collector did not say welcome"),
        };
        say.send(message(Kind::Declare(self.script.declare())))
            .await?;
        self.again(&welcome, &say).await?;
        Ok(Session {
            say: Some(say),
            answers,
            window: (welcome.batches_in_flight_max as usize).clamp(1, OUTBOX - 8),
        })
    }

    /// Sends again what was under way when the last connection ended and is not held.
    async fn again(
        &mut self,
        welcome: &Welcome,
        say: &mpsc::Sender<AgentMessage>,
    ) -> anyhow::Result<()> {
        for holding in &welcome.holdings {
            if holding.spool_id == self.script.spool_id.0 {
                self.answered(&holding.ranges);
            }
        }
        for (sequence, (_, block)) in &self.open {
            let batch = batch(&self.script, *sequence, block.clone());
            say.send(batch).await?;
        }
        Ok(())
    }

    /// Sends and listens; true when all is said and answered.
    async fn exchange(
        &mut self,
        mut session: Session,
        ticks: &mut Interval,
        storm: u32,
    ) -> anyhow::Result<bool> {
        loop {
            let word = *self.word.borrow_and_update();
            if word.storm != storm {
                return Ok(false);
            }
            if word.phase == Phase::Run {
                self.fill(&session).await?;
            }
            let exhausted = self.backlog.len() == 0;
            if exhausted && self.open.is_empty() {
                self.tell();
            }
            let only_backlog = self.manner.pace.is_none();
            if word.phase == Phase::Stop || (only_backlog && exhausted) {
                // The end of our side: the collector answers at once what it was gathering.
                session.say = None;
            }
            let stopping = session.say.is_none();
            tokio::select! {
                answer = session.answers.message() => {
                    match answer.map_err(|s| anyhow!("{}", s.message()))? {
                        Some(answer) => self.hear(answer)?,
                        None if stopping && self.open.is_empty() => return Ok(true),
                        None => bail!("the collector ended the stream"),
                    }
                }
                _ = ticks.tick(), if !only_backlog && !stopping => {
                    let times = self.times();
                    let block = self.script.block(&times);
                    self.send(&session, block).await?;
                }
                changed = self.word.changed(), if !stopping => changed?,
                () = sleep(FAREWELL), if stopping => return Ok(true),
            }
        }
    }

    /// Notes once that nothing of the past is left.
    fn tell(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            self.tally.finished();
        }
    }

    /// The times of the next batch of the present: whole intervals, from the first one's on.
    fn times(&mut self) -> Vec<i64> {
        let step = self.manner.interval.as_millis() as i64;
        let count = self.manner.ticks as i64;
        let last = match self.last_ms {
            Some(last) => last + count * step,
            None => now_ms().div_euclid(step) * step,
        };
        self.last_ms = Some(last);
        (1..=count).map(|i| last - (count - i) * step).collect()
    }

    /// Sends of the past what the window allows: half of it beside the present.
    async fn fill(&mut self, session: &Session) -> anyhow::Result<()> {
        let room = match self.manner.pace {
            Some(_) => (session.window / 2).max(1),
            None => session.window,
        };
        while self.open.len() < room {
            let Some(block) = self.backlog.next() else {
                break;
            };
            self.send(session, block).await?;
        }
        Ok(())
    }

    async fn send(&mut self, session: &Session, block: Vec<u8>) -> anyhow::Result<()> {
        self.sequence += 1;
        self.tally.sent(block.len());
        let counts = self.tally.is_measuring().then(Instant::now);
        let message = batch(&self.script, self.sequence, block.clone());
        self.open.insert(self.sequence, (counts, block));
        match &session.say {
            Some(say) => Ok(say.send(message).await?),
            None => Ok(()),
        }
    }

    fn hear(&mut self, answer: CollectorMessage) -> anyhow::Result<()> {
        match answer.kind {
            Some(Answer::Ack(ack)) if ack.spool_id == self.script.spool_id.0 => {
                self.answered(&ack.ranges);
            }
            Some(Answer::Refusal(refusal)) => {
                self.tally.refused(refusal.reason().as_str_name());
                self.tally.trouble(format!("refused: {}", refusal.message));
                self.open.remove(&refusal.sequence);
                if refusal.spool_id.is_empty() {
                    bail!("refused: {}", refusal.message);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, ranges: &[SequenceRange]) {
        let now = Instant::now();
        let mut took = Vec::new();
        for range in ranges.iter().filter(|r| r.first <= r.last) {
            let within = self.open.range(range.first..=range.last);
            let numbers: Vec<u64> = within.map(|(number, _)| *number).collect();
            for number in numbers {
                if let Some((Some(sent), _)) = self.open.remove(&number) {
                    took.push(now - sent);
                }
            }
        }
        took.sort_by(|a, b| b.cmp(a));
        self.tally.acknowledged(self.number, &took);
    }
}

fn message(kind: Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

fn batch(script: &Script, sequence: u64, block: Vec<u8>) -> AgentMessage {
    message(Kind::Batch(Batch {
        spool_id: script.spool_id.0.to_vec(),
        sequence,
        block,
    }))
}
