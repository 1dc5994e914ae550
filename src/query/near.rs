//! Names that may be meant by one that does not exist.

/// Returns the names that are most like a name, at most three.
pub(super) fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = name.to_lowercase();
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let longest = lower.chars().count().max(other.chars().count());
            let distance = distance(&lower, &other);
            let part = lower.chars().count() >= 3 && other.contains(&lower);
            (distance * 3 <= longest || part).then_some((distance, candidate))
        })
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// What is said after a name that does not exist: the names that may be meant, or some that exist.
pub(super) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    const SHOWN: usize = 12;
    let like = near(name, known.clone());
    if !like.is_empty() {
        return format!("did you mean {}?", like.join(" or "));
    }
    let all: Vec<&str> = known.into_iter().collect();
    let mut shown = all
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > SHOWN {
        shown += &format!(" and {} more", all.len() - SHOWN);
    }
    if all.is_empty() {
        "there are none".into()
    } else {
        format!("there are {shown}")
    }
}

/// Number of characters to insert, remove, replace or exchange with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(200).collect();
    let other: Vec<char> = other.chars().take(200).collect();
    let mut last: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (row[j] + usize::from(a != b))
                .min(row[j + 1] + 1)
                .min(next[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(last[j - 1] + 1);
            }
            next.push(least);
        }
        last = row;
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_slips_are_found() {
        let known = ["cell_type", "cell_id", "donor", "nCount_RNA"];
        assert_eq!(near("cell_tpe", known), ["cell_type"]);
        assert_eq!(near("CELL_TYPE", known), ["cell_type"]);
        assert_eq!(near("dnoor", known), ["donor"]);
        assert!(near("zebra", known).is_empty());
        assert!(hint("zebra", known).starts_with("there are cell_type"));
    }
}
