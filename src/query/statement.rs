//! What a query says: one statement that only reads.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::QueryError;
use super::place::Place;
use crate::remedy::Setting;

/// Maximum length of a query in bytes, and how deep parentheses may lie in it.
const LONGEST: usize = 1 << 20;
const DEEPEST: usize = 120;

/// Operators that a query may have: each of a chain lies in the next one.
const MOST_OPERATORS: usize = 1000;

/// What is said about statements that change something.
const INSTEAD: &str = "write the result to a file with -o FILE, and change a dataset with slaf convert, append or adopt";

/// Parses a query.
///
/// # Errors
/// [`QueryError::Sql`] with the place if it is not SQL; [`QueryError::ReadOnly`] if it does anything
/// but read.
pub(super) fn parse(sql: &str) -> Result<Statement, QueryError> {
    if sql.len() > LONGEST {
        return Err(wrong(format!(
            "it has {} bytes, and may have {LONGEST}; put long lists into a file and join with it: FROM 'barcodes.csv'",
            sql.len()
        )));
    }
    let operators = operators(sql);
    if operators > MOST_OPERATORS {
        return Err(wrong(format!(
            "it has {operators} operators, and may have {MOST_OPERATORS}; write a list as IN (…), or put it into a file and join with it: FROM 'barcodes.csv'"
        )));
    }
    let dialect = GenericDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(DEEPEST);
    let statements = parser
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = match statements {
        Ok(statements) => statements,
        // The parser may not know more of what it refuses than its first word.
        Err(error) => return Err(refused_word(sql).unwrap_or_else(|| not_parsed(sql, error))),
    };
    let (Some(statement), None) = (statements.pop(), statements.pop()) else {
        return Err(wrong(if sql.trim().is_empty() {
            "it is empty".into()
        } else {
            "it has several statements; ask them one by one".to_string()
        }));
    };
    match &statement {
        Statement::Query(_) => {}
        Statement::Explain { .. } => {
            return Err(wrong(format!(
                "EXPLAIN is {} here, which also tells what was read",
                Setting::any("explain")
            )));
        }
        Statement::ShowTables { .. }
        | Statement::ExplainTable { .. }
        | Statement::ShowColumns { .. } => {
            return Err(wrong("tables and columns are listed by .tables and .schema, in the shell of slaf query, and by slaf info".into()));
        }
        other => {
            let text = other.to_string();
            let word = text.split_whitespace().next().unwrap_or("the statement");
            return Err(read_only(word));
        }
    }
    match statement.visit(&mut OnlyReads) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(word) => Err(read_only(word)),
    }
}

/// Splits a text into statements that end with a semicolon, outside of quotes and comments, and what
/// comes after the last one.
pub fn complete_statements(text: &str) -> (Vec<String>, String) {
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .with_unescape(false)
        .tokenize();
    let Ok(tokens) = tokens else {
        // A quote that goes on.
        return (Vec::new(), text.to_string());
    };
    let (mut complete, mut rest) = (Vec::new(), String::new());
    for token in tokens {
        match token {
            Token::SemiColon => complete.push(std::mem::take(&mut rest)),
            token => rest.push_str(&token.to_string()),
        }
    }
    complete.retain(|statement| !statement.trim().is_empty());
    if rest.trim().is_empty() {
        rest.clear();
    }
    (complete, rest)
}

/// Number of operators between values.
fn operators(sql: &str) -> usize {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else {
        return 0;
    };
    let words = [
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::UNION,
        Keyword::EXCEPT,
        Keyword::INTERSECT,
        Keyword::JOIN,
        Keyword::CASE,
    ];
    let is_operator = |token: &Token| match token {
        Token::Word(word) => words.contains(&word.keyword),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => {
            true
        }
        Token::DoubleColon | Token::LBracket => true,
        _ => false,
    };
    tokens.iter().filter(|token| is_operator(token)).count()
}

/// A statement that does more than read, by its first word.
fn refused_word(sql: &str) -> Option<QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    let first = tokens.into_iter().find_map(|token| match token {
        Token::Word(word) => Some(word),
        _ => None,
    })?;
    let changing = [
        Keyword::ALTER,
        Keyword::ATTACH,
        Keyword::CALL,
        Keyword::COPY,
        Keyword::CREATE,
        Keyword::DELETE,
        Keyword::DROP,
        Keyword::GRANT,
        Keyword::INSERT,
        Keyword::MERGE,
        Keyword::REPLACE,
        Keyword::SET,
        Keyword::TRUNCATE,
        Keyword::UPDATE,
        Keyword::VACUUM,
    ];
    changing
        .contains(&first.keyword)
        .then(|| read_only(&first.value))
}

fn read_only(word: &str) -> QueryError {
    QueryError::ReadOnly {
        statement: word.to_uppercase(),
        remedy: INSTEAD,
    }
}

fn wrong(problem: String) -> QueryError {
    QueryError::Sql {
        problem,
        place: None,
        shown: None,
    }
}

fn not_parsed(sql: &str, error: ParserError) -> QueryError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            "parentheses or subqueries lie too deep within each other".into()
        }
    };
    let (problem, place) = Place::in_message(&message);
    // Of the end, the parser does not say where it is.
    let place = place.or_else(|| problem.ends_with("EOF").then(|| Place::end_of(sql)));
    let problem = problem
        .replace("Expected:", "expected")
        .replace(", found: EOF", ", but the query ends")
        .replace(", found:", ", but found");
    QueryError::Sql {
        problem,
        place,
        shown: None,
    }
}

/// Looks for parts of a query that change something.
struct OnlyReads;

impl Visitor for OnlyReads {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("FOR UPDATE");
        }
        changing(&query.body)
    }
}

fn changing(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => ControlFlow::Break("SELECT INTO"),
        SetExpr::SetOperation { left, right, .. } => {
            changing(left)?;
            changing(right)
        }
        SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
        SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
        SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
        SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => {
            ControlFlow::Continue(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sql: &str) -> String {
        parse(sql).unwrap_err().to_string()
    }

    #[test]
    fn only_reading_statements_are_taken() {
        assert!(parse("SELECT 1;").is_ok());
        assert!(parse("WITH a AS (SELECT 1 AS b) SELECT * FROM a UNION ALL SELECT 2").is_ok());
        for (sql, word) in [
            ("INSERT INTO cells VALUES (1)", "INSERT"),
            ("update cells set a = 1", "UPDATE"),
            ("DELETE FROM cells", "DELETE"),
            ("DROP TABLE cells", "DROP"),
            ("CREATE TABLE a AS SELECT 1", "CREATE"),
            ("ALTER TABLE cells ADD COLUMN a INT", "ALTER"),
            ("COPY (SELECT 1) TO 'a.csv'", "COPY"),
            ("TRUNCATE cells", "TRUNCATE"),
            ("SET a = 1", "SET"),
            ("SELECT 1 INTO a", "SELECT INTO"),
            ("WITH a AS (DELETE FROM cells) SELECT 1", "DELETE"),
            ("ATTACH 'x' AS y (nonsense", "ATTACH"),
        ] {
            let message = message(sql);
            assert!(
                message.contains(&format!("query: {word} is refused")),
                "{sql}: {message}"
            );
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        let message = message("SELECT a\nFROM cells WHERE");
        assert!(message.starts_with("query, line 2, column"), "{message}");
        assert!(parse("SELECT 1; SELECT 2").is_err() && parse(" ").is_err());
        let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        // As deep as is allowed is more than the stack of a test holds without optimisation.
        let parsing = std::thread::Builder::new().stack_size(64 << 20);
        let refused = parsing.spawn(move || parse(&deep).is_err()).unwrap();
        assert!(refused.join().unwrap());
    }

    #[test]
    fn statements_end_at_semicolons() {
        let (complete, rest) = complete_statements("SELECT ';' ; SELECT 2\n; SELECT");
        assert_eq!(complete, ["SELECT ';' ", " SELECT 2\n"]);
        assert_eq!(rest, " SELECT");
        assert!(complete_statements("SELECT 'a; b").0.is_empty());
        assert_eq!(complete_statements("SELECT 1;\n").1, "");
    }
}
