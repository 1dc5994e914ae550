//! Names of matrices and of their barcodes and features files.

/// What a list contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cells,
    Features,
}

/// File name extensions of lists.
const ENDINGS: [&str; 3] = [".tsv", ".txt", ".bed"];

/// alevin-fry's name for its matrix, and for the lists of its rows and columns (cells and genes).
const ALEVIN_FRY: &str = "quants_mat";

/// Matrices that STARsolo writes next to `matrix.mtx`, or instead of it, for the same cells and
/// genes.
const STARSOLO: [&str; 7] = [
    "UniqueAndMult-EM",
    "UniqueAndMult-PropUnique",
    "UniqueAndMult-Rescue",
    "UniqueAndMult-Uniform",
    "spliced",
    "unspliced",
    "ambiguous",
];

impl Kind {
    /// Names of lists of this kind, the usual one first.
    fn words(self) -> &'static [&'static str] {
        match self {
            Kind::Cells => &["barcodes", "cells"],
            Kind::Features => &["features", "genes", "peaks"],
        }
    }

    /// Returns the other kind.
    pub fn other(self) -> Self {
        match self {
            Kind::Cells => Kind::Features,
            Kind::Features => Kind::Cells,
        }
    }

    /// Whether two lists with the same prefix may be from different generations: both list
    /// features, but under different names. (A file named "cells" next to a barcodes file is a
    /// table about the cells.)
    pub fn may_differ(self, one: &str, other: &str) -> bool {
        let word = |name: &str| {
            let behind = &name[prefix_of_list(name, self)?.len()..];
            behind.split('.').next().map(str::to_string)
        };
        self == Kind::Features && word(one) != word(other)
    }
}

/// Returns the name of a matrix without its extension; `None` if the name is not that of a matrix.
pub(super) fn stem(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let stem = name.strip_suffix(".mtx")?;
    // macOS leaves such files next to others.
    (!stem.starts_with('.')).then_some(stem)
}

/// Returns the possible prefixes of the lists that belong to a matrix, in order of preference.
pub(super) fn prefixes(stem: &str) -> Vec<String> {
    let mut prefixes = Vec::new();
    if let Some(prefix) = stem.strip_suffix("matrix") {
        prefixes.push(prefix.to_string());
    }
    prefixes.extend(['.', '_', '-'].map(|separator| format!("{stem}{separator}")));
    if STARSOLO.contains(&stem) {
        prefixes.push(String::new());
    } else if let Some(last) = stem.rfind(['.', '_', '-']) {
        prefixes.push(stem[..=last].to_string());
    }
    prefixes
}

/// Whether a matrix and a list with this prefix may belong to the same sample: one name begins like
/// the other.
pub(super) fn may_be_of_one_sample(stem: &str, prefix: &str) -> bool {
    const SEPARATORS: [char; 3] = ['.', '_', '-'];
    // Words that do not name a sample.
    const MATRIX: [&str; 6] = ["matrix", "counts", "count", "data", "expression", "dge"];
    let sample = match stem.rfind(SEPARATORS) {
        _ if STARSOLO.contains(&stem) || MATRIX.contains(&stem.to_lowercase().as_str()) => "",
        Some(last) => &stem[..=last],
        None => stem,
    };
    let begins = |long: &str, short: &str| {
        let rest = long.strip_prefix(short);
        let at_a_word = short.is_empty() || short.ends_with(SEPARATORS);
        rest.is_some_and(|rest| at_a_word || rest.is_empty() || rest.starts_with(SEPARATORS))
    };
    begins(sample, prefix) || begins(prefix, sample)
}

/// Returns the possible names of a list with a prefix, the usual ones first.
pub(super) fn lists_under(matrix: &str, prefix: &str, kind: Kind) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: String| {
        names.push(format!("{name}.gz"));
        names.push(name);
    };
    for word in kind.words() {
        for ending in ENDINGS {
            add(format!("{prefix}{word}{ending}"));
        }
    }
    let stem = stem(matrix).filter(|stem| stem.ends_with(ALEVIN_FRY));
    if let Some(stem) = stem.filter(|stem| prefix == format!("{stem}_")) {
        let axis = match kind {
            Kind::Cells => "rows",
            Kind::Features => "cols",
        };
        add(format!("{stem}_{axis}.txt"));
    }
    names
}

/// Returns what precedes the word for the kind of list in a name; `None` if the name is not that of
/// a list of this kind.
pub(super) fn prefix_of_list(name: &str, kind: Kind) -> Option<&str> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    if name.starts_with('.') {
        return None;
    }
    let stem = ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))?;
    kind.words().iter().find_map(|word| stem.strip_suffix(word))
}

/// What kb-python calls the list of the names of the genes of a list of identifiers:
/// `genes.names.txt` beside `genes.txt`.
pub(super) fn names_of_genes(features: &str) -> Vec<String> {
    let plain = features.strip_suffix(".gz").unwrap_or(features);
    let stem = plain
        .strip_suffix(".txt")
        .filter(|stem| stem.ends_with("genes"));
    let names = stem.map(|stem| format!("{stem}.names.txt"));
    let both = |name: String| [name.clone(), format!("{name}.gz")];
    names.map(both).into_iter().flatten().collect()
}

/// Which counts a matrix has of cells that others beside it have other counts of, and what stands
/// before and behind the word for it.
pub(super) fn kind_of_counts(stem: &str) -> Option<(&str, &'static str, &str)> {
    const KINDS: [&str; 5] = ["unspliced", "spliced", "ambiguous", "mature", "nascent"];
    const SEPARATORS: [char; 3] = ['.', '_', '-'];
    KINDS.into_iter().find_map(|kind| {
        let at = stem.find(kind)?;
        let (before, behind) = (&stem[..at], &stem[at + kind.len()..]);
        let apart = before.is_empty() || before.ends_with(SEPARATORS);
        (apart && (behind.is_empty() || behind.starts_with(SEPARATORS)))
            .then_some((before, kind, behind))
    })
}

/// Whether a matrix and its lists are called as those of 10x and of STARsolo, whose rows are features.
pub(super) fn is_conventional(matrix: &str, cells: &str, features: &str) -> bool {
    let named = |list: &str, kind: Kind, words: &[&str]| {
        let plain = list.strip_suffix(".gz").unwrap_or(list);
        let ending = [".tsv", ".bed"]
            .iter()
            .any(|ending| plain.ends_with(ending));
        let prefix = prefix_of_list(list, kind);
        ending
            && prefix.is_some_and(|prefix| {
                words
                    .iter()
                    .any(|word| plain[prefix.len()..].starts_with(word))
            })
    };
    let matrix =
        stem(matrix).is_some_and(|stem| stem.ends_with("matrix") || STARSOLO.contains(&stem));
    matrix
        && named(cells, Kind::Cells, &["barcodes"])
        && named(features, Kind::Features, &["features", "genes", "peaks"])
}

/// Returns what the rows of a matrix are if its name says so, as in `cells_x_genes.mtx`.
pub(super) fn rows_by_name(matrix: &str) -> Option<Kind> {
    const CELLS: [&str; 4] = ["cell", "cells", "barcode", "barcodes"];
    const FEATURES: [&str; 10] = [
        "gene",
        "genes",
        "feature",
        "features",
        "peak",
        "peaks",
        "transcript",
        "transcripts",
        "tcc",
        "ec",
    ];
    let stem = stem(matrix)?.to_ascii_lowercase();
    let words: Vec<&str> = stem.split(['_', '-', '.', ' ']).collect();
    let mut kinds = words.windows(3).filter_map(|three| {
        let [one, by, other] = three else { return None };
        if !["x", "by"].contains(by) {
            return None;
        }
        match (CELLS.contains(one), FEATURES.contains(one)) {
            (true, _) if FEATURES.contains(other) => Some(Kind::Cells),
            (_, true) if CELLS.contains(other) => Some(Kind::Features),
            _ => None,
        }
    });
    kinds.next_back()
}

/// Returns what the rows of a matrix are if the names of its lists say so: `quants_mat_rows.txt`,
/// or the lists of Parse Biosciences, whose matrices are cells × genes.
pub(super) fn rows_by_lists(cells: &str, features: &str) -> Option<Kind> {
    let base = |name: &str| {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name).to_string();
        name.rsplit_once('.')
            .map_or(name.clone(), |(stem, _)| stem.to_string())
    };
    let (cells, features) = (base(cells), base(features));
    let ends = |name: &str, words: &[&str]| words.iter().any(|word| name.ends_with(word));
    let (rows, columns) = (
        ["_rows", ".rows"],
        ["_cols", ".cols", "_columns", ".columns"],
    );
    if ends(&cells, &rows) && ends(&features, &columns)
        || (cells == "cell_metadata" && features == "all_genes")
    {
        return Some(Kind::Cells);
    }
    (ends(&cells, &columns) && ends(&features, &rows)).then_some(Kind::Features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_rows_are() {
        for (name, rows) in [
            ("cells_x_genes.mtx", Some(Kind::Cells)),
            ("GSM1_cells_x_genes.total.mtx.gz", Some(Kind::Cells)),
            ("cells_x_tcc.mtx", Some(Kind::Cells)),
            ("gene-by-cell.mtx", Some(Kind::Features)),
            ("genes.x.barcodes.mtx", Some(Kind::Features)),
            ("matrix.mtx", None),
            ("cells.mtx", None),
            ("genes_x_y.mtx", None),
        ] {
            assert_eq!(rows_by_name(name), rows, "{name}");
        }
        let lists = |cells, features| rows_by_lists(cells, features);
        assert_eq!(
            lists("a/quants_mat_rows.txt", "quants_mat_cols.txt.gz"),
            Some(Kind::Cells)
        );
        assert_eq!(lists("x_cols.txt", "x_rows.txt"), Some(Kind::Features));
        assert_eq!(
            lists("cell_metadata.csv", "all_genes.csv"),
            Some(Kind::Cells)
        );
        assert_eq!(lists("barcodes.tsv", "x_rows.txt"), None);
    }

    #[test]
    fn samples_begin_alike() {
        for (stem, prefix, wanted) in [
            ("GSM1_matrix", "", true),
            ("GSM1_matrix", "GSM1_", true),
            ("GSM1_a_matrix", "GSM1_", true),
            ("GSM1_matrix", "GSM1_rna_", true),
            ("counts", "anything_", true),
            ("GSM1_matrix", "GSM10_", false),
            ("GSM1", "GSM10_", false),
            ("GSM1", "GSM1_", true),
            ("GSM2_matrix", "GSM1_", false),
        ] {
            assert_eq!(
                may_be_of_one_sample(stem, prefix),
                wanted,
                "{stem} {prefix}"
            );
        }
    }

    #[test]
    fn the_convention_is_that_of_10x() {
        for (matrix, cells, features, wanted) in [
            ("matrix.mtx", "barcodes.tsv", "genes.tsv", true),
            (
                "GSM1_matrix.mtx.gz",
                "GSM1_barcodes.tsv.gz",
                "GSM1_features.tsv.gz",
                true,
            ),
            ("matrix.mtx", "barcodes.tsv", "peaks.bed", true),
            ("UniqueAndMult-EM.mtx", "barcodes.tsv", "features.tsv", true),
            ("counts.mtx", "barcodes.tsv", "genes.tsv", false),
            ("matrix.mtx", "cells.tsv", "genes.tsv", false),
            ("matrix.mtx", "barcodes.txt", "genes.txt", false),
            ("matrix.mtx", "barcodes.tsv", "names.tsv", false),
        ] {
            assert_eq!(
                is_conventional(matrix, cells, features),
                wanted,
                "{matrix} {cells}"
            );
        }
    }
}
