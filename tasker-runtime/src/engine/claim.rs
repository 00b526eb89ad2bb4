//! Claims: how many steps, and when also one that was lost before.

use super::dispatch::{BATCH_MAX, Dispatcher};
use crate::mark::{Mark, mark};
use crate::plant::{Bug, planted};
use crate::store::{ClaimRequest, StoreError};

impl Dispatcher {
    /// One of the free slots is kept for a step with losses, so that it cannot be crowded out for ever. Where only one is
    /// free, such a step comes first at every other claim.
    pub(super) async fn claim(&mut self) {
        let free = self.free().min(BATCH_MAX);
        let lossy = planted(Bug::LossyTogether) || !self.running.values().any(|running| running.lossy);
        let Some(worker) = &mut self.worker else { return };
        worker.rotation = worker.rotation.wrapping_add(1);
        if free > 1 {
            self.claim_some(free - usize::from(lossy), lossy).await;
            return;
        }
        let first = lossy && worker.rotation.is_multiple_of(2);
        for lost in [first, !first] {
            if (lossy || !lost) && self.claim_some(usize::from(!lost), lost).await {
                return;
            }
        }
    }

    /// Claims so many steps that were never lost, and perhaps one that was. Tells whether there is nothing more to do.
    async fn claim_some(&mut self, asked: usize, lossy: bool) -> bool {
        let Some(worker) = &self.worker else { return true };
        let request = ClaimRequest {
            worker: worker.id,
            queues: worker.queues.clone(),
            limit: u32::try_from(asked).unwrap_or(u32::MAX),
            lossy,
            now: self.parts.clock.told(),
            rotation: worker.rotation,
        };
        match self.parts.store.claim(request).await {
            Ok(claims) => {
                let came = !claims.claimed.is_empty();
                self.counters.claim(claims.claimed.len());
                let fresh = claims.claimed.iter().filter(|claimed| claimed.live.losses == 0).count();
                // A full hand: more may be waiting. So may what was passed over.
                self.want_claim = came && fresh >= asked || claims.passed_over;
                self.begin(claims.claimed);
                came
            }
            Err(error) => {
                mark(Mark::ClaimFailed);
                self.want_claim = false;
                self.doubt.raised |= matches!(error, StoreError::Unknown(_));
                tracing::warn!(%error, "steps cannot be claimed; tried again at the next look");
                self.seen_version = None;
                true
            }
        }
    }
}
