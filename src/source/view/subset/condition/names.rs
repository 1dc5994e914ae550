//! Column names in a condition.

use std::collections::HashSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Quotes column names that are not identifiers in SQL, such as `orig.ident` and `CD4+`.
///
/// A name is the longest sequence of tokens without white space that is the name of a column. If
/// its first word alone is a column too, the name may only continue with dots, so that `a-b`
/// remains a difference.
///
/// # Errors
/// If the text cannot be split into tokens.
pub(super) fn quoted(sql: &str, columns: &HashSet<&str>) -> Result<String, String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .with_unescape(false)
        .tokenize()
        .map_err(|error| error.to_string())?;
    let mut text = String::with_capacity(sql.len());
    let mut at = 0;
    while at < tokens.len() {
        match name_at(&tokens[at..], columns) {
            Some((name, length)) => {
                text.push('"');
                text.push_str(&name.replace('"', "\"\""));
                text.push('"');
                at += length;
            }
            None => {
                text.push_str(&tokens[at].to_string());
                at += 1;
            }
        }
    }
    Ok(text)
}

/// Returns the longest column name that begins here and has more than one token, and the number of
/// its tokens.
fn name_at(tokens: &[Token], columns: &HashSet<&str>) -> Option<(String, usize)> {
    let Some(Token::Word(first)) = tokens.first() else {
        return None;
    };
    if first.quote_style.is_some() {
        return None;
    }
    let longest = columns.iter().map(|name| name.len()).max().unwrap_or(0);
    let only_dots = columns.contains(first.value.as_str());
    let mut name = first.value.clone();
    let mut found = None;
    for (position, token) in tokens.iter().enumerate().skip(1) {
        let goes_on = match token {
            Token::Whitespace(_) | Token::SingleQuotedString(_) | Token::EOF => false,
            Token::Word(word) => word.quote_style.is_none(),
            Token::Period | Token::Number(..) => true,
            _ => !only_dots,
        };
        if !goes_on || name.len() > longest {
            break;
        }
        name.push_str(&token.to_string());
        if columns.contains(name.as_str()) {
            found = Some((name.clone(), position + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_sql_would_cut_them() {
        let columns = HashSet::from([
            "orig.ident",
            "CD4+",
            "n",
            "leiden_0.5",
            "a",
            "b",
            "a-b",
            "x y",
        ]);
        let of = |sql: &str| quoted(sql, &columns).unwrap();
        assert_eq!(of("orig.ident = 'a.b'"), "\"orig.ident\" = 'a.b'");
        assert_eq!(of("CD4+ > 1 AND n>2"), "\"CD4+\" > 1 AND n>2");
        assert_eq!(of("leiden_0.5='3'"), "\"leiden_0.5\"='3'");
        // Both are columns: this is a difference, unless it is quoted.
        assert_eq!(of("a-b > 0"), "a-b > 0");
        assert_eq!(
            of("\"a-b\" > 0 AND \"x y\" = 'it''s'"),
            "\"a-b\" > 0 AND \"x y\" = 'it''s'"
        );
        assert_eq!(of("n > 1.5e3 -- why\n"), "n > 1.5e3 -- why\n");
        assert!(quoted("n = 'open", &columns).is_err());
    }
}
