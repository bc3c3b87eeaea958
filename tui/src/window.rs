//! The stretch of time that numbers are taken over.

/// One of a few lengths; each key press goes to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    TenSeconds,
    #[default]
    Minute,
    FiveMinutes,
    QuarterHour,
    /// Everything a gateway counted since its process started.
    SinceStart,
}

impl Window {
    pub const ALL: [Window; 5] =
        [Window::TenSeconds, Window::Minute, Window::FiveMinutes, Window::QuarterHour, Window::SinceStart];

    /// Its length; `None` for as long as there are counters.
    pub fn ms(self) -> Option<u64> {
        match self {
            Window::TenSeconds => Some(10_000),
            Window::Minute => Some(60_000),
            Window::FiveMinutes => Some(300_000),
            Window::QuarterHour => Some(900_000),
            Window::SinceStart => None,
        }
    }

    /// How much of the past the charts show; they know no more than a quarter of an hour.
    pub fn chart_ms(self) -> u64 {
        self.ms().unwrap_or(900_000)
    }

    /// The name, as shown and as given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Window::TenSeconds => "10s",
            Window::Minute => "1m",
            Window::FiveMinutes => "5m",
            Window::QuarterHour => "15m",
            Window::SinceStart => "start",
        }
    }

    /// As words: "in the last …".
    pub fn words(self) -> &'static str {
        match self {
            Window::TenSeconds => "10 s",
            Window::Minute => "1 min",
            Window::FiveMinutes => "5 min",
            Window::QuarterHour => "15 min",
            Window::SinceStart => "since start",
        }
    }

    #[must_use]
    pub fn shorter(self) -> Window {
        Window::ALL[(self as usize).saturating_sub(1)]
    }

    #[must_use]
    pub fn longer(self) -> Window {
        Window::ALL[(self as usize + 1).min(Window::ALL.len() - 1)]
    }
}
