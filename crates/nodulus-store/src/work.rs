//! Hands out the shards of a job, so that several processes share them.

use crate::claim::Claim;
use crate::shard::ShardWriter;
use crate::{Error, Job};
use std::collections::VecDeque;

/// The shards of a job that are still to be made; see [`Job::work`].
#[derive(Debug)]
pub struct Work<'a> {
    job: &'a Job,
    pending: VecDeque<usize>,
    claimed_by_others: VecDeque<usize>,
}

impl<'a> Work<'a> {
    /// The shards at these positions.
    pub(crate) fn new(job: &'a Job, pending: VecDeque<usize>) -> Self {
        Self { job, pending, claimed_by_others: VecDeque::new() }
    }

    /// Number of shards that are left, those of other processes included.
    pub fn n_left(&self) -> usize {
        self.pending.len() + self.claimed_by_others.len()
    }

    /// The positions of the shards that are left, those of other processes included.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.pending.iter().chain(&self.claimed_by_others).copied()
    }

    fn next_shard(&mut self) -> Result<Option<ShardWriter>, Error> {
        let claims = self.job.claims()?;
        while let Some(number) = self.pending.pop_front() {
            match Claim::try_take(&claims, self.job.shard_key(number))? {
                None => self.claimed_by_others.push_back(number),
                Some(claim) if self.job.is_done(number) => claim.finish()?,
                Some(claim) => return self.job.writer(number, claim).map(Some),
            }
        }
        while let Some(number) = self.claimed_by_others.pop_front() {
            let claim = Claim::wait(&claims, self.job.shard_key(number))?;
            if self.job.is_done(number) {
                claim.finish()?;
            } else {
                return self.job.writer(number, claim).map(Some);
            }
        }
        while let Some((number, wait)) = self.job.setbacks.next() {
            std::thread::sleep(wait);
            let claim = Claim::wait(&claims, self.job.shard_key(number))?;
            if self.job.is_done(number) {
                self.job.setbacks.remove(number);
                claim.finish()?;
            } else {
                return self.job.writer(number, claim).map(Some);
            }
        }
        Ok(None)
    }
}

impl Iterator for Work<'_> {
    type Item = Result<ShardWriter, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_shard().transpose()
    }
}
