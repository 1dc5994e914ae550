//! Finds genes by their identifier or symbol.

use std::sync::Arc;

use arrow::array::AsArray;
use datafusion::execution::memory_pool::MemoryPool;

use crate::query::QueryError;
use crate::query::names::Names;
use crate::query::near;
use crate::query::place::Place;

/// Columns of genes that commonly hold symbols, in the order in which they are looked into.
pub(in crate::query) const SYMBOLS: [&str; 8] = [
    "gene_symbols",
    "gene_symbol",
    "feature_name",
    "gene_name",
    "gene_names",
    "gene_short_name",
    "symbol",
    "name",
];

/// The genes of a dataset, by identifier, and by symbol if there is a column of symbols.
#[derive(Debug)]
pub(in crate::query) struct GeneFinder {
    ids: Arc<Names>,
    symbols: Option<(&'static str, Names)>,
}

impl GeneFinder {
    pub fn new(ids: Arc<Names>, symbols: Option<(&'static str, Names)>) -> Self {
        GeneFinder { ids, symbols }
    }

    /// The number of a gene.
    ///
    /// # Errors
    /// [`QueryError::Sql`] if there is none, or several have the name.
    pub async fn number(
        &self,
        gene: &str,
        sql: &str,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<u32, QueryError> {
        let texts = self.ids.texts(pool).await.map_err(QueryError::running)?;
        let ids = texts.as_string_view();
        let of = |column: &str, all: Vec<u32>| match all[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [..] => {
                let shown = all.iter().take(3).map(|&number| ids.value(number as usize));
                let shown = shown.collect::<Vec<_>>().join(", ");
                Err(wrong(
                    sql,
                    gene,
                    format!(
                        "{} genes have {gene:?} as {column} (gene_id {shown}); name one by its gene_id, or join with x",
                        all.len()
                    ),
                ))
            }
        };
        let places = |texts: &arrow::array::StringViewArray| {
            let found = (0u32..).zip(texts.iter());
            found
                .filter(|(_, text)| *text == Some(gene))
                .map(|(number, _)| number)
                .collect()
        };
        if let Some(number) = of("gene_id", places(ids))? {
            return Ok(number);
        }
        let mut like: Vec<String> = Vec::new();
        if let Some((column, symbols)) = &self.symbols {
            let texts = symbols.texts(pool).await.map_err(QueryError::running)?;
            let symbols = texts.as_string_view();
            if let Some(number) = of(column, places(symbols))? {
                return Ok(number);
            }
            like.extend(
                near::near(gene, symbols.iter().flatten())
                    .into_iter()
                    .map(String::from),
            );
        }
        like.extend(
            near::near(gene, ids.iter().flatten())
                .into_iter()
                .map(String::from),
        );
        like.dedup();
        let hint = if like.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", like.join(" or "))
        };
        let looked = match &self.symbols {
            Some((column, _)) => format!("gene_id and {column}"),
            None => "gene_id".into(),
        };
        Err(wrong(
            sql,
            gene,
            format!("there is no gene {gene:?} in {looked}{hint}"),
        ))
    }
}

fn wrong(sql: &str, gene: &str, problem: String) -> QueryError {
    QueryError::Sql {
        problem,
        place: Place::of_word(sql, gene),
        shown: None,
    }
}
