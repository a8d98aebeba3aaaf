// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

// The log. Under systemd records go to the journal with structured fields, else one line each to stderr.
// Levels say who must act: error - somebody now; warning - somebody soon; info - nobody, but worth knowing;
// debug - developers. Any thread. Never pass a secret.
//
// In the daemon logging never waits: a thread of its own writes the records, in their order, and those that
// find no room because the journal or whoever reads stderr stands still are counted and told of once it goes
// on. A crash waits a second for what has not been written.
namespace things::log {

enum class Level { debug, info, warning, error };

/// A field of a journal record, e.g. {"DEVICE", "boiler"}; upper case, without the prefix THINGS_.
using Field = std::pair<std::string_view, std::string_view>;

/// Opens the journal if this process was started by systemd with one, else stderr. Once, at start.
void open(Level level);
/// From here on records are written by a thread of its own, and write() never blocks. For the daemon, after
/// open(). Throws std::system_error if there can be no such thread.
void start();
/// Waits until everything is written, for at most a second; false: the log is stuck. Before the process ends.
bool flush();
/// Takes effect on all threads with their next record; for a reload.
void set_level(Level level);
/// Costs one atomic load; lets a caller skip building a text that nobody would see.
[[nodiscard]] bool is_on(Level level);

/// Writes one record. What is not printable (printable.hpp) is shown, so that input cannot forge lines.
/// A field with an empty value is left out; the fields are for the journal only, a line on stderr is the
/// message alone. Before start() it may block for as long as the journal or stderr does.
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});
/// One line on stderr as it is, in its order with the records. Before start() it may block likewise; after it
/// for a second, if there is no room: for start-up, which may have much to say at once.
void print(std::string_view text);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    if (is_on(Level::debug))
        write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    if (is_on(Level::info))
        write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
    if (is_on(Level::warning))
        write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

} // namespace things::log
