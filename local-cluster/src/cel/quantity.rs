//! Quantities: `100m`, `1.5Gi`, `2e3`.

use std::cmp::Ordering;

use super::evaluate::no_overload;
use super::value::Val;

/// In billionths, which is as fine as Kubernetes keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

const ONE: i128 = 1_000_000_000;

impl Quantity {
    pub(crate) fn parse(text: &str) -> Option<Quantity> {
        let digits = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let factor = match suffix {
            "n" => 1,
            "u" => 1_000,
            "m" => 1_000_000,
            "" => ONE,
            "k" => ONE * 1_000,
            "M" => ONE * 1_000_000,
            "G" => ONE * 1_000_000_000,
            "T" => ONE * 1_000_000_000_000,
            "P" => ONE * 1_000_000_000_000_000,
            "E" => ONE * 1_000_000_000_000_000_000,
            "Ki" => ONE << 10,
            "Mi" => ONE << 20,
            "Gi" => ONE << 30,
            "Ti" => ONE << 40,
            "Pi" => ONE << 50,
            "Ei" => ONE << 60,
            exponent => {
                let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
                let power = 10i128.checked_pow(exponent.unsigned_abs())?;
                if exponent < 0 { ONE / power } else { ONE.checked_mul(power)? }
            }
        };
        let negative = number.starts_with('-');
        let number = number.trim_start_matches(['+', '-']);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut value = whole.checked_mul(factor)?;
        let mut unit = factor;
        for digit in fraction.chars() {
            unit /= 10;
            value = value.checked_add(i128::from(digit.to_digit(10)?) * unit)?;
        }
        Some(Quantity(if negative { -value } else { value }))
    }

    pub(super) fn call(self, name: &str, argument: Option<&Val>) -> Result<Val, String> {
        let other = match argument {
            Some(Val::Quantity(other)) => Some(*other),
            Some(Val::Int(value)) => Some(Quantity(i128::from(*value) * ONE)),
            _ => None,
        };
        let sum = |value: Option<i128>| {
            value.map(|value| Val::Quantity(Quantity(value))).ok_or_else(super::evaluate::overflow)
        };
        Ok(match (name, other) {
            ("isGreaterThan", Some(other)) => Val::Bool(self > other),
            ("isLessThan", Some(other)) => Val::Bool(self < other),
            ("compareTo", Some(other)) => Val::Int(match self.cmp(&other) {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            }),
            ("add", Some(other)) => return sum(self.0.checked_add(other.0)),
            ("sub", Some(other)) => return sum(self.0.checked_sub(other.0)),
            ("sign", None) => Val::Int(self.0.signum() as i64),
            ("isInteger", None) => Val::Bool(self.0 % ONE == 0 && i64::try_from(self.0 / ONE).is_ok()),
            ("asInteger", None) => match i64::try_from(self.0 / ONE) {
                Ok(value) if self.0 % ONE == 0 => Val::Int(value),
                _ => return Err("cannot convert value to integer".to_owned()),
            },
            ("asApproximateFloat", None) => Val::Double(self.0 as f64 / ONE as f64),
            _ => return Err(no_overload(&format!("quantity.{name}"))),
        })
    }
}
