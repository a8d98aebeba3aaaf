// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"

#include <string>
#include <unordered_map>
#include <vector>

// Mistakes in the configuration. All of a run are collected, so that a person mends them in one go. Loop or
// command line; no thread of its own.
namespace things {

enum class Severity : std::uint8_t { error, warning };

/// One mistake: where it stands, and what to do about it. Never holds a secret.
struct Problem {
    Place place;
    Severity severity = Severity::error;
    std::string message;
    /// "FILE:LINE:COLUMN: error: message", one line.
    /// Control characters are shown, since file names and values from outside reach a terminal.
    [[nodiscard]] std::string text() const;
};

/// Collects problems. The same one at the same place is kept once (a profile is read by many devices).
/// Keeps 5,000 errors and as many warnings; errors beyond are counted.
class Problems {
public:
    void error(Place place, std::string message);
    void warning(Place place, std::string message);
    /// Problems are listed by file in this order, then by line.
    void know_file(const std::string& file);
    /// Repetitions included.
    [[nodiscard]] std::size_t errors() const { return errors_; }
    /// All of them, in order, without repetitions.
    /// Once, at the end.
    [[nodiscard]] std::vector<Problem> take();

private:
    void add(Place place, Severity severity, std::string message);
    std::vector<Problem> list_;
    std::unordered_map<std::string, std::size_t> files_; // and when it was first known
    std::size_t errors_ = 0, warnings_ = 0;
};

} // namespace things
