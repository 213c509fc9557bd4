//! One target: what it is told, and how it gets it.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context;
use ring::hmac;

use super::alertmanager as am;
use super::decide::{self, Change, News, Terms};
use super::http::{self, Ask, Place, Refused};
use super::message::{self, Labels, Message};
use crate::clock::Clock;
use crate::config::{Alertmanager, Notify, Webhook};
use crate::rules::{Maintenance, maintained_until_ms};
use crate::store::{Letter, Outcome, Store, StoreError, Telling, Told};

/// The first pause after a failure; it doubles with each one …
const PAUSE_MS: i64 = 5_000;
/// … up to this.
const PAUSE_MS_MAX: i64 = 15 * 60_000;
/// A message that could not be delivered for so long is lost.
const AGE_MS_MAX: i64 = 3 * 86_400_000;
/// Most messages delivered in one round: the register is looked at in between.
const LETTERS_MAX: usize = 100;
/// Alerts end so many repetitions after they were told last.
const REPEATS_LASTED: i64 = 5;
/// Most alerts in one post.
const ALERTS_MAX: usize = 500;

/// Whom to tell.
#[derive(Debug)]
pub struct Target {
    name: String,
    place: Place,
    terms: Terms,
    kind: Kind,
    /// When something that is not in the outbox is sent next: repetitions, heartbeats.
    next_ms: i64,
    /// How often that failed in a row.
    failures: u32,
}

#[derive(Debug)]
enum Kind {
    Webhook {
        secret: Option<hmac::Key>,
        template: Option<String>,
        heartbeat_ms: i64,
    },
    Alertmanager {
        repeat_ms: i64,
        heartbeat: bool,
    },
}

/// The targets of a configuration.
///
/// # Errors
/// A template that cannot be filled, a secret that cannot be read.
pub fn targets(config: &Notify) -> anyhow::Result<Vec<Target>> {
    let webhooks = config.webhook.iter().map(|w| webhook(config, w));
    let managers = config.alertmanager.iter().map(|a| Ok(manager(a)));
    webhooks.chain(managers).collect()
}

fn webhook(config: &Notify, webhook: &Webhook) -> anyhow::Result<Target> {
    let wrong = || format!("notify.webhook {:?}", webhook.name);
    if let Some(template) = &webhook.template {
        message::check_template(template).with_context(wrong)?;
    }
    let secret = webhook.secret_file.as_deref().map(http::secret).transpose();
    let secret = secret.with_context(wrong)?;
    Ok(Target {
        name: webhook.name.clone(),
        place: Place {
            url: webhook.url.clone(),
            ca: webhook.ca.clone(),
            token_file: webhook.token_file.clone(),
        },
        terms: Terms {
            severity: webhook.severity,
            floor_ms: i64::from(config.floor_minutes) * 60_000,
            remind_ms: i64::from(config.remind_hours) * 3_600_000,
            repeats: false,
        },
        kind: Kind::Webhook {
            secret: secret.map(|s| hmac::Key::new(hmac::HMAC_SHA256, &s)),
            template: webhook.template.clone(),
            heartbeat_ms: i64::from(webhook.heartbeat_minutes) * 60_000,
        },
        next_ms: 0,
        failures: 0,
    })
}

fn manager(manager: &Alertmanager) -> Target {
    Target {
        name: manager.name.clone(),
        place: Place {
            url: manager.url.clone(),
            ca: manager.ca.clone(),
            token_file: manager.token_file.clone(),
        },
        terms: Terms {
            severity: manager.severity,
            floor_ms: 0,
            remind_ms: 0,
            repeats: true,
        },
        kind: Kind::Alertmanager {
            repeat_ms: i64::from(manager.repeat_seconds) * 1_000,
            heartbeat: manager.heartbeat,
        },
        next_ms: 0,
        failures: 0,
    }
}

impl Target {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One round: decides what is told, writes it down, delivers what is due.
    ///
    /// # Errors
    /// What the store met. What the target did not take is noted and tried again.
    pub(super) async fn round(
        &mut self,
        store: &Store,
        maintenance: &[Maintenance],
        clock: &Clock,
    ) -> Result<(), StoreError> {
        let now_ms = clock.now_ms();
        let told = store.told(&self.name).await?;
        let mut entries = store.register(None).await?;
        let there: HashSet<i64> = entries.iter().map(|e| e.finding.id).collect();
        let missing = told
            .iter()
            .filter(|(number, t)| t.firing && !there.contains(number));
        let missing = missing.map(|(number, _)| *number).collect();
        entries.extend(store.entries(missing).await?);
        let labels: Labels = store
            .host_names()
            .await?
            .iter()
            .map(|host| (host.name.clone(), host.labels.clone()))
            .collect();
        for entry in &mut entries {
            let about = entry.finding.about(labels.get(&entry.finding.host));
            entry.maintained_until_ms = maintained_until_ms(maintenance, &about, now_ms);
        }
        let changes = decide::decide(&entries, &told, self.terms, now_ms);
        let mut telling = match self.kind {
            Kind::Webhook { .. } => self.messages(changes, &labels, now_ms),
            Kind::Alertmanager { .. } => {
                let telling = alerts(changes, &labels, now_ms);
                relabelled(telling, (&entries, &told), &labels, now_ms)
            }
        };
        let forgotten = decide::forgotten(&told, now_ms).into_iter();
        telling.told.extend(forgotten.map(|number| (number, None)));
        if telling != Telling::default() {
            // News is told at once, whatever failed before.
            self.next_ms = match self.kind {
                Kind::Alertmanager { .. } => 0,
                Kind::Webhook { .. } => self.next_ms,
            };
            store.tell(&self.name, telling, now_ms).await?;
        }
        self.deliver(store, clock).await?;
        if now_ms >= self.next_ms {
            self.beside(store, (&entries, &labels), now_ms).await?;
        }
        Ok(())
    }

    /// News in groups, a message each.
    fn messages(&self, changes: Vec<Change<'_>>, labels: &Labels, now_ms: i64) -> Telling {
        let mut telling = Telling::default();
        for (news, group, of) in decide::groups(&changes) {
            let message = Message::of(news, &group, &of, labels, now_ms);
            // A message is plain data: it can be written.
            telling
                .messages
                .extend(serde_json::to_string(&message).ok());
        }
        let told = changes
            .into_iter()
            .map(|c| (c.entry.finding.id, Some(c.told)));
        telling.told.extend(told);
        telling
    }

    /// Delivers what is due, in order: behind a message that fails the others wait.
    async fn deliver(&self, store: &Store, clock: &Clock) -> Result<(), StoreError> {
        for _ in 0..LETTERS_MAX {
            let now_ms = clock.now_ms();
            let letter = store.next_letter(&self.name).await?;
            let Some(letter) = letter.filter(|letter| letter.next_ms <= now_ms) else {
                return Ok(());
            };
            let sent = self.send(&letter).await;
            let outcome = outcome(sent, &letter, clock.now_ms());
            let postponed = matches!(outcome, Outcome::Postponed { .. });
            if let Outcome::Lost { reason, error } = &outcome {
                tracing::error!(target = self.name, reason, "a message is lost: {error}");
            }
            let number = Some(letter.number);
            store
                .tried(&self.name, number, outcome, clock.now_ms())
                .await?;
            if postponed {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn send(&self, letter: &Letter) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Webhook { .. } => {
                let message = Message::read(&letter.body)?;
                self.post(&message, &letter.number.to_string()).await
            }
            Kind::Alertmanager { .. } => self.post_alerts(letter.body.clone()).await,
        }
    }

    /// Posts a message to a webhook, signed where there is a secret.
    async fn post(&self, message: &Message, delivery: &str) -> anyhow::Result<()> {
        let Kind::Webhook {
            secret, template, ..
        } = &self.kind
        else {
            return Ok(());
        };
        let body = message.body(template.as_deref())?;
        let mut headers = vec![("x-hostwell-delivery", delivery.to_owned())];
        if let Some(key) = secret {
            let tag = hmac::sign(key, body.as_bytes());
            let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            headers.push(("x-hostwell-signature", format!("sha256={hex}")));
        }
        let ask = Ask {
            path: "",
            headers,
            body: Some(body),
        };
        http::ask(&self.place, ask).await.map(drop)
    }

    async fn post_alerts(&self, body: String) -> anyhow::Result<()> {
        let ask = Ask {
            path: am::ALERTS,
            headers: Vec::new(),
            body: Some(body),
        };
        http::ask(&self.place, ask).await.map(drop)
    }

    /// What is not in the outbox because it is told anew anyway.
    async fn beside(
        &mut self,
        store: &Store,
        (entries, labels): (&[crate::store::Entry], &Labels),
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let (done, every_ms) = match self.kind {
            Kind::Webhook {
                heartbeat_ms: 0, ..
            } => return Ok(()),
            Kind::Webhook { heartbeat_ms, .. } => {
                let message = Message::own("heartbeat", "the collector lives", now_ms);
                (self.post(&message, "heartbeat").await, heartbeat_ms)
            }
            Kind::Alertmanager {
                repeat_ms,
                heartbeat,
            } => {
                let told = store.told(&self.name).await?;
                let ends_ms = now_ms + repeat_ms * REPEATS_LASTED;
                let firing = entries
                    .iter()
                    .filter(|e| told.get(&e.finding.id).is_some_and(|t| t.firing));
                let of = |e: &crate::store::Entry| am::labels(e, labels.get(&e.finding.host));
                let mut alerts: Vec<_> = firing.map(|e| am::firing(e, of(e), ends_ms)).collect();
                alerts.extend(heartbeat.then(|| am::heartbeat(ends_ms)));
                (self.repeat(store, &alerts, told).await?, repeat_ms)
            }
        };
        let outcome = match done {
            Ok(()) => {
                self.failures = 0;
                self.next_ms = now_ms + every_ms;
                Outcome::Delivered
            }
            Err(error) => {
                self.next_ms = now_ms + pause_ms(self.failures).min(every_ms);
                self.failures += 1;
                Outcome::Postponed {
                    next_ms: self.next_ms,
                    error: format!("{error:#}"),
                }
            }
        };
        store.tried(&self.name, None, outcome, now_ms).await
    }

    /// Tells an Alertmanager all that is open, and hears what is silenced there.
    async fn repeat(
        &self,
        store: &Store,
        alerts: &[am::Alert],
        told: BTreeMap<i64, Told>,
    ) -> Result<anyhow::Result<()>, StoreError> {
        let exchange = async {
            for part in alerts.chunks(ALERTS_MAX) {
                self.post_alerts(serde_json::to_string(part)?).await?;
            }
            let ask = Ask {
                path: am::OURS,
                headers: Vec::new(),
                body: None,
            };
            am::silenced(&http::ask(&self.place, ask).await?)
        };
        let silenced = match exchange.await {
            Ok(silenced) => silenced,
            Err(error) => return Ok(Err(error)),
        };
        let changed = told.into_iter().filter_map(|(number, told)| {
            let is = told.firing && silenced.contains(&number);
            let now = Told {
                silenced: is,
                ..told
            };
            (now.silenced != told.silenced).then_some((number, Some(now)))
        });
        let telling = Telling {
            told: changed.collect(),
            messages: Vec::new(),
        };
        if !telling.told.is_empty() {
            store.tell(&self.name, telling, 0).await?;
        }
        Ok(Ok(()))
    }

    /// Sends a message that says that it is one to try.
    ///
    /// # Errors
    /// What was met on the way, or what the target answered.
    pub async fn test(&self, now_ms: i64) -> anyhow::Result<()> {
        let words = "a test: hostwell can tell this target of risks";
        match &self.kind {
            Kind::Webhook { .. } => {
                let message = Message::own("test", words, now_ms);
                self.post(&message, "test").await
            }
            Kind::Alertmanager { .. } => {
                let alert = am::test(words, now_ms);
                self.post_alerts(serde_json::to_string(&[alert])?).await
            }
        }
    }
}

/// What is over, or known under other labels now, as one post.
fn alerts(changes: Vec<Change<'_>>, labels: &Labels, now_ms: i64) -> Telling {
    let mut telling = Telling::default();
    let mut over = Vec::new();
    for Change {
        entry,
        news,
        mut told,
    } in changes
    {
        let before = std::mem::take(&mut told.labels);
        match news {
            News::Resolved | News::Muted => over.push(am::resolved(&before, now_ms)),
            _ => {
                told.labels = am::labels(entry, labels.get(&entry.finding.host));
                if !before.is_empty() && before != told.labels && news == News::Worse {
                    over.push(am::resolved(&before, now_ms));
                }
            }
        }
        telling.told.insert(entry.finding.id, Some(told));
    }
    post(&mut telling, &over);
    telling
}

/// Adds what is still told under labels that are no longer its own: its severity or a label of its
/// host changed, and for Alertmanager that is another alert.
fn relabelled(
    mut telling: Telling,
    (entries, told): (&[crate::store::Entry], &BTreeMap<i64, Told>),
    labels: &Labels,
    now_ms: i64,
) -> Telling {
    let mut over = Vec::new();
    for entry in entries {
        let number = entry.finding.id;
        let Some(before) = told.get(&number).filter(|t| t.firing) else {
            continue;
        };
        let now = am::labels(entry, labels.get(&entry.finding.host));
        if telling.told.contains_key(&number) || before.labels == now {
            continue;
        }
        over.push(am::resolved(&before.labels, now_ms));
        let told = Told {
            labels: now,
            severity: entry.finding.severity,
            ..before.clone()
        };
        telling.told.insert(number, Some(told));
    }
    post(&mut telling, &over);
    telling
}

fn post(telling: &mut Telling, alerts: &[am::Alert]) {
    for part in alerts.chunks(ALERTS_MAX) {
        telling.messages.extend(serde_json::to_string(part).ok());
    }
}

/// What becomes of a message after a try.
fn outcome(sent: anyhow::Result<()>, letter: &Letter, now_ms: i64) -> Outcome {
    let Err(error) = sent else {
        return Outcome::Delivered;
    };
    let refused = error.downcast_ref::<Refused>();
    // Not understood is never understood; anything else may be a target's or a key's bad day.
    let hopeless = refused.is_some_and(|r| matches!(r.status.as_u16(), 400 | 413 | 422));
    let error = format!("{error:#}");
    if hopeless {
        return Outcome::Lost {
            reason: "refused",
            error,
        };
    }
    if now_ms - letter.made_ms > AGE_MS_MAX {
        return Outcome::Lost {
            reason: "age",
            error,
        };
    }
    let next_ms = now_ms + pause_ms(letter.tries);
    Outcome::Postponed { next_ms, error }
}

fn pause_ms(tries: u32) -> i64 {
    (PAUSE_MS << tries.min(16)).min(PAUSE_MS_MAX)
}
