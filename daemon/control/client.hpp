// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

// The command line's end of the control socket. Blocking, for a process that has nothing else to do.
namespace things {

/// How a request ended. `absent`: nobody listens there, so the caller may open the bus itself.
///
/// - ok, failed: the daemon answered, and says how it ended
/// - absent: no socket, or a dead one; nothing runs
/// - denied: the file's permissions do not let this user in
/// - broken: it runs, but did not answer in time, closed, or speaks another protocol
struct ControlAnswer {
    enum class Status : unsigned char { ok, failed, absent, denied, broken };
    Status status = Status::broken;
    std::string result; ///< ok: JSON
    std::string error;  ///< otherwise: in words
    int exit_code = 1;  ///< as the daemon suggests; 69 for absent, denied and broken
};

/// Asks for a verb, with its arguments as a JSON object (empty: none), and waits for the end of the answer.
/// `on_progress` gets the JSON of every progress line. `patience`, of seconds, is the longest silence between
/// two lines. Never throws. A daemon that is too busy to accept is asked again until `patience` is over; the
/// total time has no other bound than the number of progress lines.
[[nodiscard]] ControlAnswer ask_daemon(const std::filesystem::path& socket, const std::string& verb,
                                       const std::string& arguments, std::chrono::milliseconds patience,
                                       const std::function<void(const std::string&)>& on_progress = {});

} // namespace things
