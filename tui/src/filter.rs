//! The filter language, one for all lists: words that must appear somewhere, comparisons of fields, and
//! `and`, `or`, `not` with brackets. `status>=500 route~orders` means both.
//!
//! A filter is checked against the fields of what it is for while it is typed, so an error names the place and
//! what would be right.

use std::borrow::Cow;

use admin_api::Reason;

/// Longer filters are refused; nobody types them, and the parser recurses.
const LONGEST: usize = 256;

/// What a filter can ask about one kind of row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    pub name: &'static str,
    /// Another name for it, for those who come from elsewhere; may be empty.
    pub alias: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// How a field's values are written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of the feed's reason words.
    Reason,
    /// A number; a per cent sign is allowed.
    Number,
    /// A time; `100`, `100ms`, `1.5s`, `80us`.
    Millis,
    /// A status code or a class like `5xx`.
    Status,
}

/// A field's value in one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Absent,
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        if text.is_empty() { Value::Absent } else { Value::Text(Cow::Borrowed(text)) }
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

/// A row that can be filtered.
pub trait Subject {
    const FIELDS: &'static [Field];

    /// The value of the field with this name (never the alias).
    fn value(&self, field: &str) -> Value<'_>;
}

/// A checked filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    text: String,
    expression: Option<Expression>,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is, in characters from the start.
    pub at: usize,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Word(String),
    Compare(&'static Field, Operator, Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Like,
    Unlike,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Text(String),
    Number(f64),
    /// From (inclusive) to (exclusive).
    Range(f64, f64),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Operator(Operator),
    Word { text: String, quoted: bool },
}

impl Filter {
    /// Reads a filter for rows of the given kind; an empty text lets everything through.
    pub fn parse<S: Subject>(text: &str) -> Result<Filter, Mistake> {
        let length = text.chars().count();
        if length > LONGEST {
            return Err(Mistake {
                at: LONGEST,
                message: format!("a filter has at most {LONGEST} characters"),
            });
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, end: length, fields: S::FIELDS };
        let expression = if tokens.is_empty() { None } else { Some(parser.any()?) };
        match parser.peek() {
            None => Ok(Filter { text: text.trim().to_owned(), expression }),
            Some(_) => Err(parser.mistake("this bracket closes nothing")),
        }
    }

    /// As typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.expression.is_none()
    }

    pub fn matches<S: Subject>(&self, row: &S) -> bool {
        self.expression.as_ref().is_none_or(|expression| holds(expression, row))
    }
}

/// How a word is written so that the parser reads it as one value.
pub fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && !["and", "or", "not"].contains(&word.to_ascii_lowercase().as_str())
        && !word.contains(|c: char| c.is_whitespace() || "()=<>~!\"'".contains(c));
    if plain {
        word.to_owned()
    } else if word.contains('"') {
        format!("'{word}'")
    } else {
        format!("\"{word}\"")
    }
}

fn holds<S: Subject>(expression: &Expression, row: &S) -> bool {
    match expression {
        Expression::All(parts) => parts.iter().all(|part| holds(part, row)),
        Expression::Any(parts) => parts.iter().any(|part| holds(part, row)),
        Expression::Not(part) => !holds(part, row),
        Expression::Word(word) => S::FIELDS.iter().any(|field| match row.value(field.name) {
            Value::Text(text) => contains(&text, word),
            Value::Number(number) => field.kind == Kind::Status && number.to_string() == *word,
            Value::Absent => false,
        }),
        Expression::Compare(field, operator, operand) => compare(&row.value(field.name), *operator, operand),
    }
}

fn compare(value: &Value, operator: Operator, operand: &Operand) -> bool {
    use Operator as O;
    let negative = matches!(operator, O::Unequal | O::Unlike);
    match (value, operand) {
        (Value::Text(text), Operand::Text(wanted)) => match operator {
            O::Equal => text.eq_ignore_ascii_case(wanted),
            O::Unequal => !text.eq_ignore_ascii_case(wanted),
            O::Like => contains(text, wanted),
            O::Unlike => !contains(text, wanted),
            _ => false,
        },
        (Value::Number(number), Operand::Number(wanted)) => match operator {
            O::Equal | O::Like => number.total_cmp(wanted).is_eq(),
            O::Unequal | O::Unlike => number.total_cmp(wanted).is_ne(),
            O::Greater => number > wanted,
            O::GreaterEqual => number >= wanted,
            O::Less => number < wanted,
            O::LessEqual => number <= wanted,
        },
        (Value::Number(number), Operand::Range(from, to)) => match operator {
            O::Greater => number >= to,
            O::GreaterEqual => number >= from,
            O::Less => number < from,
            O::LessEqual => number < to,
            _ => (from..to).contains(&number) != negative,
        },
        _ => negative,
    }
}

/// Whether `text` contains `part`, whatever the case of ASCII letters.
fn contains(text: &str, part: &str) -> bool {
    part.is_empty()
        || text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Mistake> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let followed_by = |next: char, chars: &mut std::iter::Peekable<_>| {
            chars.next_if(|(_, c): &(usize, char)| *c == next).is_some()
        };
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => {
                followed_by('=', &mut chars);
                Token::Operator(Operator::Equal)
            }
            '~' => Token::Operator(Operator::Like),
            '>' if followed_by('=', &mut chars) => Token::Operator(Operator::GreaterEqual),
            '>' => Token::Operator(Operator::Greater),
            '<' if followed_by('=', &mut chars) => Token::Operator(Operator::LessEqual),
            '<' => Token::Operator(Operator::Less),
            '!' if followed_by('=', &mut chars) => Token::Operator(Operator::Unequal),
            '!' if followed_by('~', &mut chars) => Token::Operator(Operator::Unlike),
            '!' => Token::Word { text: "not".to_owned(), quoted: false },
            quote @ ('"' | '\'') => {
                let mut text = String::new();
                loop {
                    match chars.next() {
                        None => return Err(Mistake { at, message: "this quote is never closed".to_owned() }),
                        Some((_, c)) if c == quote => break,
                        Some((_, c)) => text.push(c),
                    }
                }
                Token::Word { text, quoted: true }
            }
            c => {
                let mut text = String::from(c);
                while let Some((_, c)) =
                    chars.next_if(|(_, c)| !c.is_whitespace() && !"()=<>~!\"'".contains(*c))
                {
                    text.push(c);
                }
                Token::Word { text, quoted: false }
            }
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    end: usize,
    fields: &'static [Field],
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn mistake(&self, message: impl Into<String>) -> Mistake {
        let at = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at);
        Mistake { at, message: message.into() }
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word { text, quoted: false }) if text.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let there = self.is_keyword(keyword);
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> Result<Expression, Mistake> {
        let mut parts = vec![self.all()?];
        while self.take_keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression, Mistake> {
        let mut parts = vec![self.one()?];
        loop {
            let joined = self.take_keyword("and");
            let ends = matches!(self.peek(), None | Some(Token::Close)) || self.is_keyword("or");
            if ends && !joined {
                break;
            }
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn one(&mut self) -> Result<Expression, Mistake> {
        if self.take_keyword("not") {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        match self.peek() {
            Some(Token::Open) => {
                self.at += 1;
                let inner = self.any()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.mistake("a closing bracket is missing here"));
                }
                self.at += 1;
                Ok(inner)
            }
            Some(Token::Word { text, quoted })
                if *quoted || !self.is_keyword("or") && !self.is_keyword("and") =>
            {
                let word = text.clone();
                if let Some((_, Token::Operator(operator))) = self.tokens.get(self.at + 1) {
                    return self.comparison(&word, *operator);
                }
                self.at += 1;
                Ok(Expression::Word(word))
            }
            Some(Token::Operator(_)) => Err(self.mistake("a field is missing before this")),
            _ => Err(self.mistake("a word or a comparison is missing here")),
        }
    }

    fn comparison(&mut self, name: &str, operator: Operator) -> Result<Expression, Mistake> {
        let field = self.fields.iter().find(|field| {
            field.name.eq_ignore_ascii_case(name)
                || (!field.alias.is_empty() && field.alias.eq_ignore_ascii_case(name))
        });
        let Some(field) = field else {
            return Err(self.mistake(no_such_field(name, self.fields)));
        };
        self.at += 2;
        let Some(Token::Word { text, .. }) = self.peek() else {
            return Err(self.mistake(format!("a value for {} is missing here", field.name)));
        };
        let operand = operand(field, operator, text).map_err(|message| self.mistake(message))?;
        self.at += 1;
        Ok(Expression::Compare(field, operator, operand))
    }
}

fn operand(field: &Field, operator: Operator, text: &str) -> Result<Operand, String> {
    let likeness =
        matches!(operator, Operator::Equal | Operator::Unequal | Operator::Like | Operator::Unlike);
    match field.kind {
        Kind::Text | Kind::Reason if !likeness => {
            Err(format!("{} is a text; use = != ~ or !~ with it", field.name))
        }
        Kind::Reason if matches!(operator, Operator::Equal | Operator::Unequal) => reason(text),
        Kind::Text | Kind::Reason => Ok(Operand::Text(text.to_owned())),
        Kind::Status => status(text),
        Kind::Number => number(text.trim_end_matches('%'))
            .map(Operand::Number)
            .ok_or_else(|| format!("{} is compared with a number, not {text:?}", field.name)),
        Kind::Millis => millis(text).map(Operand::Number).ok_or_else(|| {
            format!("{} is compared with a time like 250ms or 1.5s, not {text:?}", field.name)
        }),
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn millis(text: &str) -> Option<f64> {
    let (digits, factor) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 1.0)
    } else if let Some(digits) = text.strip_suffix("us").or(text.strip_suffix("µs")) {
        (digits, 0.001)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1_000.0)
    } else {
        (text, 1.0)
    };
    number(digits).map(|value| value * factor)
}

fn status(text: &str) -> Result<Operand, String> {
    if let Some(class) =
        text.to_ascii_lowercase().strip_suffix("xx").and_then(|class| class.parse::<u8>().ok())
        && (1..=5).contains(&class)
    {
        let from = f64::from(class) * 100.0;
        return Ok(Operand::Range(from, from + 100.0));
    }
    text.parse::<u16>()
        .map(|status| Operand::Number(f64::from(status)))
        .map_err(|_| format!("{text:?} is no status; write 503 or 5xx"))
}

fn reason(text: &str) -> Result<Operand, String> {
    let word = text.replace('-', "_").to_ascii_lowercase();
    if Reason::ALL.iter().any(|reason| reason.as_str() == word) {
        return Ok(Operand::Text(word));
    }
    let words = Reason::ALL.iter().map(|reason| reason.as_str());
    Err(match closest(&word, words) {
        Some(close) => format!("no reason is called {text:?}; did you mean {close}?"),
        None => format!("no reason is called {text:?}; reason~{text} finds it within a word"),
    })
}

fn no_such_field(name: &str, fields: &[Field]) -> String {
    let names = fields.iter().map(|field| field.name);
    match closest(name, names.clone()) {
        Some(close) => format!("no field is called {name:?}; did you mean {close}?"),
        None => format!("no field is called {name:?}; there are {}", names.collect::<Vec<_>>().join(" ")),
    }
}

fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
