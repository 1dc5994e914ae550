//! Whose cell a function is about: `expr('CD3E')` means that of the row.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Query, SetExpr, Statement, TableFactor, VisitMut, VisitorMut,
};

use super::functions::{COUNTS, EXPR, N_GENES};

/// The column that numbers cells, and the word that stands for it.
const NUMBER: &str = "cell_integer_id";
const CELL: &str = "cell";

/// Gives functions that are about a cell the number of the cell of the row.
pub(super) fn with_cells(statement: &mut Statement) {
    let mut scopes = Scopes { cells: Vec::new() };
    let _ = statement.visit(&mut scopes);
}

struct Scopes {
    /// For each query around, what its table of cells is called, if there is one.
    cells: Vec<Option<Vec<Ident>>>,
}

impl VisitorMut for Scopes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.cells.push(match query.body.as_ref() {
            SetExpr::Select(select) => {
                let joined = select.from.iter().flat_map(|from| {
                    let joins = from.joins.iter().map(|join| &join.relation);
                    std::iter::once(&from.relation).chain(joins)
                });
                let mut cells = joined.filter_map(called);
                cells.next().filter(|_| cells.next().is_none())
            }
            _ => None,
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.cells.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression {
            self.complete(function);
        }
        ControlFlow::Continue(())
    }
}

/// What a table of cells is called in a query.
fn called(relation: &TableFactor) -> Option<Vec<Ident>> {
    let TableFactor::Table { name, alias, .. } = relation else {
        return None;
    };
    let parts: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
    if parts.last()?.value != "cells" {
        return None;
    }
    Some(match alias {
        Some(alias) => vec![alias.name.clone()],
        None => parts.into_iter().cloned().collect(),
    })
}

impl Scopes {
    fn complete(&self, function: &mut Function) {
        let before = match name(&function.name).as_deref() {
            Some(EXPR) => 1,
            Some(COUNTS | N_GENES) => 0,
            _ => return,
        };
        let FunctionArguments::List(list) = &mut function.args else {
            return;
        };
        let stands_for_cell = |argument: &FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) => {
                name.value == CELL && name.quote_style.is_none()
            }
            _ => false,
        };
        match list.args.len() {
            count if count == before => list.args.push(self.number()),
            count if count == before + 1 && stands_for_cell(&list.args[before]) => {
                list.args[before] = self.number();
            }
            _ => {}
        }
    }

    /// The number of the row's cell.
    fn number(&self) -> FunctionArg {
        let number = Ident::new(NUMBER);
        let column = match self.cells.last() {
            Some(Some(table)) => {
                let mut parts = table.clone();
                parts.push(number);
                Expr::CompoundIdentifier(parts)
            }
            _ => Expr::Identifier(number),
        };
        FunctionArg::Unnamed(FunctionArgExpr::Expr(column))
    }
}

/// The last part of a function's name in lower case.
fn name(name: &ObjectName) -> Option<String> {
    let last = name.0.last()?.as_ident()?;
    Some(last.value.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse;
    use super::*;

    #[test]
    fn functions_are_about_the_cell_of_the_row() {
        let rewritten = |sql: &str| {
            let mut statement = parse(sql).unwrap();
            with_cells(&mut statement);
            statement.to_string()
        };
        assert_eq!(
            rewritten("SELECT expr('A') FROM cells c JOIN x ON true WHERE counts(cell) > 1"),
            "SELECT expr('A', c.cell_integer_id) FROM cells c JOIN x ON true WHERE counts(c.cell_integer_id) > 1"
        );
        assert_eq!(
            rewritten("SELECT n_genes() FROM (SELECT expr('A', i) FROM atlas.cells)"),
            "SELECT n_genes(cell_integer_id) FROM (SELECT expr('A', i) FROM atlas.cells)"
        );
        assert_eq!(
            rewritten("SELECT counts() FROM atlas.cells"),
            "SELECT counts(atlas.cells.cell_integer_id) FROM atlas.cells"
        );
    }
}
