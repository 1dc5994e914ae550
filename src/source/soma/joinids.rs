//! Mapping between joinids and positions. A joinid identifies a row or column in every array of an
//! experiment. Joinids have gaps where cells were deleted.

use std::ops::Range;

/// Joinids in ascending order, stored as runs without gaps.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Joinids {
    runs: Vec<Run>,
    length: u64,
}

/// First joinid of a run, and its position.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    id: i64,
    position: u64,
}

/// A joinid that is not larger than its predecessor.
#[derive(Debug, PartialEq)]
pub(super) struct OutOfOrder(pub i64);

impl Joinids {
    /// Creates the joinids `0..length`.
    pub fn counted(length: u64) -> Self {
        let mut joinids = Joinids::default();
        // Array lengths are far below `i64::MAX`, so this cannot fail.
        let _ = joinids.push(0, length.min(i64::MAX as u64));
        joinids
    }

    /// Appends `count` joinids starting at `first`, which must be larger than all existing ones.
    pub fn push(&mut self, first: i64, count: u64) -> Result<(), OutOfOrder> {
        if count == 0 {
            return Ok(());
        }
        let end = i64::try_from(count)
            .ok()
            .and_then(|count| first.checked_add(count - 1));
        if first < 0 || end.is_none() {
            return Err(OutOfOrder(first));
        }
        match self.last() {
            Some(last) if first <= last => return Err(OutOfOrder(first)),
            Some(last) if first == last + 1 => {}
            _ => self.runs.push(Run {
                id: first,
                position: self.length,
            }),
        }
        self.length += count;
        Ok(())
    }

    fn last(&self) -> Option<i64> {
        let run = self.runs.last()?;
        Some(run.id + (self.length - run.position) as i64 - 1)
    }

    /// Number of joinids.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Memory used, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.runs.len() * size_of::<Run>()) as u64
    }

    /// End of the positions of a run.
    fn end(&self, number: usize) -> u64 {
        self.runs
            .get(number + 1)
            .map_or(self.length, |next| next.position)
    }

    /// Returns the position of a joinid, if it exists.
    pub fn position(&self, id: i64) -> Option<u64> {
        let number = match &self.runs[..] {
            // The usual case.
            [only] if id >= only.id => 0,
            runs => runs.partition_point(|run| run.id <= id).checked_sub(1)?,
        };
        let run = self.runs[number];
        let position = run.position + (id - run.id) as u64;
        (position < self.end(number)).then_some(position)
    }

    /// Number of joinids that are smaller than `id`.
    pub fn below(&self, id: i64) -> u64 {
        let after = self.runs.partition_point(|run| run.id < id);
        let Some(number) = after.checked_sub(1) else {
            return 0;
        };
        let run = self.runs[number];
        (run.position + (id - run.id) as u64).min(self.end(number))
    }

    /// Returns the joinids of a range of positions as runs: the first joinid and the count.
    pub fn runs(&self, positions: Range<u64>) -> impl Iterator<Item = (i64, u64)> + '_ {
        let first = self
            .runs
            .partition_point(|run| run.position <= positions.start);
        (first.saturating_sub(1)..self.runs.len()).map_while(move |number| {
            let run = self.runs[number];
            let start = run.position.max(positions.start);
            let end = self.end(number).min(positions.end);
            (start < end).then(|| (run.id + (start - run.position) as i64, end - start))
        })
    }

    /// Returns the first and the last joinid of a non-empty range of positions.
    pub fn span(&self, positions: Range<u64>) -> Option<[i64; 2]> {
        let mut runs = self.runs(positions);
        let (first, count) = runs.next()?;
        let (last, count) = runs.last().unwrap_or((first, count));
        Some([first, last + count as i64 - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_is_checked() {
        let mut joinids = Joinids::default();
        assert_eq!(joinids.push(5, 3), Ok(()));
        assert_eq!(joinids.push(7, 1), Err(OutOfOrder(7)));
        assert_eq!(joinids.push(-1, 1), Err(OutOfOrder(-1)));
        assert_eq!(joinids.push(i64::MAX, 2), Err(OutOfOrder(i64::MAX)));
        assert_eq!(joinids.push(8, 1), Ok(()));
        assert_eq!(joinids.runs.len(), 1);
    }

    proptest! {
        #[test]
        fn positions_are_ranks(ids in prop::collection::btree_set(0i64..60, 0..40), range in (0u64..45, 0u64..45)) {
            let mut joinids = Joinids::default();
            for &id in &ids {
                joinids.push(id, 1).unwrap();
            }
            let ids: Vec<i64> = ids.into_iter().collect();
            prop_assert_eq!(joinids.len(), ids.len() as u64);
            for id in -1..65 {
                let position = ids.binary_search(&id).ok().map(|position| position as u64);
                prop_assert_eq!(joinids.position(id), position);
                prop_assert_eq!(joinids.below(id), ids.iter().filter(|&&other| other < id).count() as u64);
            }
            let start = range.0.min(ids.len() as u64);
            let end = range.1.clamp(start, ids.len() as u64);
            let wanted = &ids[start as usize..end as usize];
            let found: Vec<i64> = joinids
                .runs(start..end)
                .flat_map(|(first, count)| first..first + count as i64)
                .collect();
            prop_assert_eq!(&found[..], wanted);
            let span = wanted.first().zip(wanted.last()).map(|(&first, &last)| [first, last]);
            prop_assert_eq!(joinids.span(start..end), span);
        }
    }
}
