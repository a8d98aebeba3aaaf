// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// The line protocol of the plugin exec (README.md): what a program prints, and what it is told. Pure.
namespace things {

/// Never empty: a value of null in a line is left out.
using LineValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

/// One line of a program's output.
/// Which members count goes by `kind`. Texts are cut after 2000 bytes.
struct Line {
    enum class Kind : std::uint8_t { empty, readings, problem, recovered, note, done, failed, invalid };
    Kind kind = Kind::empty;
    std::vector<std::pair<std::string, LineValue>> values; ///< field, value
    /// Comes as Unix seconds with a fraction, above 0 and not beyond the year 2100; else the line is invalid.
    std::optional<std::int64_t> time_ms; ///< since the Unix epoch
    std::uint64_t id = 0;                ///< of done and failed: the request
    std::optional<LineValue> value;      ///< of done: what was written
    std::string field;                   ///< of problem and recovered: whose; empty: all
    std::string code, text;              ///< of problem, failed, note; of invalid: what is wrong with it
};

constexpr std::size_t longest_line = std::size_t{64} * 1024;
constexpr std::size_t most_values = 1000; ///< in one line

/// Never throws; what is no line of ours is `invalid`, with the reason as text.
/// Takes one line without its end; more than longest_line is invalid.
[[nodiscard]] Line parse_line(std::string_view text);

/// What the program gets to read, each one line with its end.
[[nodiscard]] std::string poll_line(std::uint64_t id, const std::vector<std::string>& fields);
[[nodiscard]] std::string write_line(std::uint64_t id, const std::string& field, const LineValue& value);

/// Bytes in, lines out. A line longer than `longest_line` comes out as nothing and is counted.
/// Holds what was fed until next() took it; of an unfinished line no more than longest_line once next() was
/// asked.
class LineBuffer {
public:
    void feed(std::string_view bytes);
    /// Nothing: no whole line is there. Call it until then, after each feed().
    [[nodiscard]] std::optional<std::string> next();
    /// Lines that were too long, since the last time this was asked.
    [[nodiscard]] std::uint64_t take_overlong() { return std::exchange(overlong_, 0); }

private:
    std::string buffer_;
    std::size_t searched_ = 0;
    bool skipping_ = false;
    std::uint64_t overlong_ = 0;
};

} // namespace things
