//! Tokens to a tree, by precedence.

use super::CompileError;
use super::lexer::{Token, tokens};
use super::value::Val;

/// Deeper nesting is refused, so that nobody can use up the stack.
const DEEPEST: usize = 100;

#[derive(Debug, Clone)]
pub(super) struct Expression {
    pub(super) node: Node,
    /// Where its operator or name stands in the source.
    pub(super) at: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Literal(Val),
    Name(String),
    Select {
        of: Box<Expression>,
        field: String,
        optional: bool,
    },
    Index {
        of: Box<Expression>,
        key: Box<Expression>,
        optional: bool,
    },
    Has {
        of: Box<Expression>,
        field: String,
    },
    Call {
        name: String,
        of: Option<Box<Expression>>,
        arguments: Vec<Expression>,
    },
    Unary(&'static str, Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    Condition(Box<Expression>, Box<Expression>, Box<Expression>),
    List(Vec<(Expression, bool)>),
    Map(Vec<(Expression, Expression, bool)>),
    /// A macro over a list or map: its name, the variables it binds, and what it evaluates for each item.
    Loop {
        name: Loop,
        over: Box<Expression>,
        variables: Vec<String>,
        body: Vec<Expression>,
    },
    /// `cel.bind(name, value, body)`.
    Bind {
        name: String,
        value: Box<Expression>,
        body: Box<Expression>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    /// On an optional: the value changed, if there is one.
    OptionalMap,
    OptionalFlatMap,
}

impl Expression {
    pub(super) fn mentions(&self, variable: &str) -> bool {
        let mut found = false;
        self.visit(&mut |expression| {
            found |= matches!(&expression.node, Node::Name(name) if name == variable);
        });
        found
    }

    fn visit(&self, see: &mut impl FnMut(&Expression)) {
        see(self);
        match &self.node {
            Node::Literal(_) | Node::Name(_) => {}
            Node::Select { of, .. } | Node::Has { of, .. } | Node::Unary(_, of) => of.visit(see),
            Node::Index { of, key, .. } => [of, key].into_iter().for_each(|below| below.visit(see)),
            Node::Binary(_, left, right) => [left, right].into_iter().for_each(|below| below.visit(see)),
            Node::Condition(a, b, c) => [a, b, c].into_iter().for_each(|below| below.visit(see)),
            Node::Call { of, arguments, .. } => {
                for below in of.as_deref().into_iter().chain(arguments) {
                    below.visit(see);
                }
            }
            Node::List(items) => items.iter().for_each(|(item, _)| item.visit(see)),
            Node::Map(entries) => entries.iter().for_each(|(key, value, _)| {
                key.visit(see);
                value.visit(see);
            }),
            Node::Loop { over, body, .. } => {
                over.visit(see);
                for below in body {
                    below.visit(see);
                }
            }
            Node::Bind { value, body, .. } => [value, body].into_iter().for_each(|below| below.visit(see)),
        }
    }
}

pub(super) fn parse(source: &str) -> Result<Expression, CompileError> {
    let mut parser = Parser { tokens: tokens(source)?, next: 0, depth: 0 };
    let expression = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(expression),
        other => Err(parser.unexpected(&other.clone())),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

type Parsed = Result<Expression, CompileError>;

/// From loosest to tightest.
const LEVELS: [&[&str]; 5] =
    [&["||"], &["&&"], &["<=", "<", ">=", ">", "==", "!=", "in"], &["+", "-"], &["*", "/", "%"]];

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)].0
    }

    fn at(&self) -> usize {
        self.tokens[self.next.min(self.tokens.len() - 1)].1
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), CompileError> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&self.peek().clone())) }
    }

    fn unexpected(&self, token: &Token) -> CompileError {
        let shown = match token {
            Token::Name(name) => name.clone(),
            Token::Int(value) => value.to_string(),
            Token::Uint(value) => value.to_string(),
            Token::Double(value) => value.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Bytes(_) => "bytes".to_owned(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::End => "<EOF>".to_owned(),
        };
        CompileError { at: self.at(), message: format!("Syntax error: mismatched input '{shown}'") }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(CompileError {
                at: self.at(),
                message: "expression recursion limit exceeded".to_owned(),
            });
        }
        let condition = self.binary(0)?;
        let at = self.at();
        let expression = if self.take("?") {
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.expression()?;
            Expression { node: Node::Condition(Box::new(condition), Box::new(yes), Box::new(no)), at }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn binary(&mut self, level: usize) -> Parsed {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let at = self.at();
            let operator = match self.peek() {
                Token::Sign(sign) => operators.iter().find(|operator| *operator == sign),
                Token::Name(name) => operators.iter().find(|operator| *operator == name),
                _ => None,
            };
            let Some(operator) = operator else { return Ok(left) };
            self.next += 1;
            let right = self.binary(level + 1)?;
            left = Expression { node: Node::Binary(operator, Box::new(left), Box::new(right)), at };
        }
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at();
        for sign in ["!", "-"] {
            if self.take(sign) {
                // The smallest number has no positive counterpart.
                if let (Token::Int(i64::MIN), "-") = (self.peek(), sign) {
                    self.next += 1;
                    return Ok(Expression { node: Node::Literal(Val::Int(i64::MIN)), at });
                }
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(CompileError {
                        at,
                        message: "expression recursion limit exceeded".to_owned(),
                    });
                }
                let operand = self.unary()?;
                self.depth -= 1;
                return Ok(Expression { node: Node::Unary(sign, Box::new(operand)), at });
            }
        }
        self.member()
    }

    fn member(&mut self) -> Parsed {
        let mut of = self.primary()?;
        loop {
            let at = self.at();
            if self.take(".") || matches!(self.peek(), Token::Sign(".?")) {
                let optional = self.take(".?");
                let field = match self.peek().clone() {
                    Token::Name(name) => name,
                    other => return Err(self.unexpected(&other)),
                };
                self.next += 1;
                if !optional && self.take("(") {
                    let arguments = self.arguments(")")?;
                    of = call(of, field, arguments, at)?;
                } else {
                    of = Expression { node: Node::Select { of: Box::new(of), field, optional }, at };
                }
            } else if self.take("[") || matches!(self.peek(), Token::Sign("[?")) {
                let optional = self.take("[?");
                let key = self.expression()?;
                self.expect("]")?;
                of = Expression { node: Node::Index { of: Box::new(of), key: Box::new(key), optional }, at };
            } else {
                return Ok(of);
            }
        }
    }

    fn arguments(&mut self, close: &str) -> Result<Vec<Expression>, CompileError> {
        let mut arguments = Vec::new();
        while !self.take(close) {
            arguments.push(self.expression()?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let token = self.peek().clone();
        // A leading dot names from the root, where all our names are.
        if let Token::Sign(".") = token {
            self.next += 1;
            return self.primary();
        }
        self.next += 1;
        let node = match token {
            Token::Int(value) => Node::Literal(Val::Int(value)),
            Token::Uint(value) => Node::Literal(Val::Uint(value)),
            Token::Double(value) => Node::Literal(Val::Double(value)),
            Token::Text(text) => Node::Literal(Val::text(text)),
            Token::Bytes(bytes) => Node::Literal(Val::Bytes(bytes.into())),
            Token::Name(name) if name == "true" => Node::Literal(Val::Bool(true)),
            Token::Name(name) if name == "false" => Node::Literal(Val::Bool(false)),
            Token::Name(name) if name == "null" => Node::Literal(Val::Null),
            Token::Name(name) if self.take("(") => {
                let arguments = self.arguments(")")?;
                return has(name, arguments, at);
            }
            Token::Name(name) => Node::Name(name),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => Node::List(self.items()?),
            Token::Sign("[?") => {
                self.next -= 1;
                self.tokens[self.next].0 = Token::Sign("?");
                Node::List(self.items()?)
            }
            Token::Sign("{") => Node::Map(self.entries()?),
            Token::Sign("{?") => {
                self.next -= 1;
                self.tokens[self.next].0 = Token::Sign("?");
                Node::Map(self.entries()?)
            }
            other => {
                self.next -= 1;
                return Err(self.unexpected(&other));
            }
        };
        Ok(Expression { node, at })
    }

    fn items(&mut self) -> Result<Vec<(Expression, bool)>, CompileError> {
        let mut items = Vec::new();
        while !self.take("]") {
            let optional = self.take("?");
            items.push((self.expression()?, optional));
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Expression, Expression, bool)>, CompileError> {
        let mut entries = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?, optional));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }
}

fn has(name: String, mut arguments: Vec<Expression>, at: usize) -> Parsed {
    if name != "has" {
        return Ok(Expression { node: Node::Call { name, of: None, arguments }, at });
    }
    match arguments.pop().map(|argument| argument.node) {
        Some(Node::Select { of, field, .. }) if arguments.is_empty() => {
            Ok(Expression { node: Node::Has { of, field }, at })
        }
        _ => Err(CompileError { at, message: "invalid argument to has() macro".to_owned() }),
    }
}

fn call(of: Expression, name: String, mut arguments: Vec<Expression>, at: usize) -> Parsed {
    let kind = match (name.as_str(), arguments.len()) {
        ("all", 2 | 3) => Some(Loop::All),
        ("exists", 2 | 3) => Some(Loop::Exists),
        ("exists_one" | "existsOne", 2 | 3) => Some(Loop::ExistsOne),
        ("filter", 2) => Some(Loop::Filter),
        ("map", 2 | 3) => Some(Loop::Map),
        ("optMap", 2) => Some(Loop::OptionalMap),
        ("optFlatMap", 2) => Some(Loop::OptionalFlatMap),
        _ => None,
    };
    if name == "bind" && matches!(&of.node, Node::Name(name) if name == "cel") && arguments.len() == 3 {
        let (body, value, variable) = (arguments.pop(), arguments.pop(), arguments.pop());
        if let (Some(body), Some(value), Some(Node::Name(name))) = (body, value, variable.map(|v| v.node)) {
            return Ok(Expression {
                node: Node::Bind { name, value: Box::new(value), body: Box::new(body) },
                at,
            });
        }
        return Err(CompileError {
            at,
            message: "cel.bind() variable names must be simple identifiers".to_owned(),
        });
    }
    let Some(kind) = kind else {
        return Ok(Expression { node: Node::Call { name, of: Some(Box::new(of)), arguments }, at });
    };
    // `map` with three arguments filters; the quantifiers with three bind key and value.
    let bound = if arguments.len() == 3 && kind != Loop::Map { 2 } else { 1 };
    let body = arguments.split_off(bound);
    let variables = arguments.into_iter().map(|argument| match argument.node {
        Node::Name(name) => Ok(name),
        _ => Err(CompileError { at, message: "argument must be a simple name".to_owned() }),
    });
    let variables = variables.collect::<Result<_, _>>()?;
    Ok(Expression { node: Node::Loop { name: kind, over: Box::new(of), variables, body }, at })
}
