//! The two steps of an invoice, and the mailbox that they share.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tasker::{StepContext, StepError, step_handler};

/// Stands for a mail server: it takes a mail once for each key.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mails: Mutex<BTreeMap<String, String>>,
}

impl Mailbox {
    /// Sends a mail, unless one with this key was sent before. Gives how many were sent in all.
    pub(crate) fn send(&self, key: String, text: String) -> usize {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.entry(key).or_insert(text);
        mails.len()
    }
}

/// What the template says to [`add_tax`].
#[derive(Debug, Deserialize)]
pub(crate) struct Tax {
    percent: u32,
    label: String,
}

/// What is to be paid.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Total {
    gross_cents: u64,
    tax: String,
}

/// What was sent.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    text: String,
    sent_in_all: usize,
}

/// Adds the tax that the template sets.
#[step_handler]
pub(crate) async fn add_tax(#[input] net_cents: u64, #[config] tax: Tax) -> Result<Total, StepError> {
    let too_large = || StepError::permanent("the amount is too large");
    let share = net_cents.checked_mul(tax.percent.into()).ok_or_else(too_large)?.div_ceil(100);
    let gross_cents = net_cents.checked_add(share).ok_or_else(too_large)?;
    Ok(Total { gross_cents, tax: format!("{} {} %", tax.label, tax.percent) })
}

/// Sends the invoice. The mailbox is busy as often as the input says.
#[step_handler]
pub(crate) async fn send_invoice(
    #[input] customer: &str,
    #[input(default = 0)] busy_times: u32,
    #[dependency(add_tax)] total: Total,
    #[state] mailbox: &Mailbox,
    ctx: StepContext<'_>,
) -> Result<Sent, StepError> {
    if ctx.attempt() <= busy_times {
        return Err(StepError::retryable("the mailbox is busy").with_code("MAILBOX_BUSY"));
    }
    let text = format!("{customer} pays {} cents ({})", total.gross_cents, total.tax);
    let sent_in_all = mailbox.send(ctx.idempotency_key(), text.clone());
    Ok(Sent { text, sent_in_all })
}
