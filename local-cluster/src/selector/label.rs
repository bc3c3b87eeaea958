//! Label selectors as URLs carry them: `a=b,c in (d,e),!f`.

use serde_json::Value;

use crate::failure::Failure;
use crate::resources::names;

/// All of its requirements must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<LabelSelector, Failure> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        parser.selector().map_err(Failure::bad_request)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| {
            let found = labels.get(&requirement.key).and_then(Value::as_str);
            let number = || found.and_then(|value| value.parse::<i64>().ok());
            match &requirement.test {
                Test::In(values) => found.is_some_and(|value| values.iter().any(|one| one == value)),
                Test::NotIn(values) => found.is_none_or(|value| values.iter().all(|one| one != value)),
                Test::Exists => found.is_some(),
                Test::Absent => found.is_none(),
                Test::Above(limit) => number().is_some_and(|value| value > *limit),
                Test::Below(limit) => number().is_some_and(|value| value < *limit),
            }
        })
    }
}

fn tokens(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let special = |character: char| character.is_whitespace() || "=!(),><".contains(character);
            let end = rest.find(special).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Token {
        self.tokens.get(self.at).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<LabelSelector, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(LabelSelector(requirements)),
                Token::Word(_) | Token::Sign("!") => requirements
                    .push(self.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?),
                found @ Token::Sign(_) => return Err(expected(&found, "!, identifier, or 'end of string'")),
            }
            match self.next() {
                Token::End => return Ok(LabelSelector(requirements)),
                Token::Sign(",") => match self.peek() {
                    Token::Word(_) | Token::Sign("!") => {}
                    found => {
                        return Err(format!("found '{}', expected: identifier after ','", shown(&found)));
                    }
                },
                found => return Err(expected(&found, "',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            found => return Err(expected(&found, "identifier")),
        };
        if let Some(wrong) = names::qualified(&key).into_iter().next() {
            return Err(format!("<nil>: Invalid value: {key:?}: {wrong}"));
        }
        if absent {
            return Ok(Requirement { key, test: Test::Absent });
        }
        let test = match self.peek() {
            Token::End | Token::Sign(",") => Test::Exists,
            Token::Word(word) if word == "in" => Test::In(self.set()?),
            Token::Word(word) if word == "notin" => Test::NotIn(self.set()?),
            Token::Sign("=" | "==") => Test::In(self.value(&key)?),
            Token::Sign("!=") => Test::NotIn(self.value(&key)?),
            Token::Sign(sign @ (">" | "<")) => {
                let value = self.value(&key)?.concat();
                let number = value.parse().map_err(|_| {
                    format!("values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
                })?;
                if sign == ">" { Test::Above(number) } else { Test::Below(number) }
            }
            found => {
                let operators = "in, notin, =, ==, !=, gt, lt";
                return Err(expected(&found, operators));
            }
        };
        Ok(Requirement { key, test })
    }

    fn value(&mut self, key: &str) -> Result<Vec<String>, String> {
        self.next();
        let value = match self.peek() {
            Token::End | Token::Sign(",") => String::new(),
            Token::Word(word) => {
                self.next();
                word
            }
            found @ Token::Sign(_) => return Err(expected(&found, "identifier")),
        };
        check_value(key, &value)?;
        Ok(vec![value])
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.next();
        if let found @ (Token::Word(_) | Token::End | Token::Sign(_)) = self.next()
            && found != Token::Sign("(")
        {
            return Err(expected(&found, "'('"));
        }
        let mut values = Vec::new();
        loop {
            match self.next() {
                Token::Word(word) => {
                    check_value("", &word)?;
                    values.push(word);
                    match self.next() {
                        Token::Sign(",") => {}
                        Token::Sign(")") => break,
                        found => return Err(expected(&found, "',' or ')'")),
                    }
                }
                Token::Sign(",") => values.push(String::new()),
                Token::Sign(")") => {
                    values.push(String::new());
                    break;
                }
                found => return Err(expected(&found, "',', ')' or identifier")),
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    match names::label_value(value).into_iter().next() {
        Some(wrong) => Err(format!("values[0][{key}]: Invalid value: {value:?}: {wrong}")),
        None => Ok(()),
    }
}

fn expected(found: &Token, what: &str) -> String {
    format!("found '{}', expected: {what}", shown(found))
}

fn shown(token: &Token) -> &str {
    match token {
        Token::Word(word) => word,
        Token::Sign(sign) => sign,
        Token::End => "",
    }
}
