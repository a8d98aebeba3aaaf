// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exec/child.hpp"
#include "exec/line.hpp"
#include "exec/restart_pause.hpp"
#include "things_plugin.hpp"

#include <map>
#include <set>

// One source of the plugin exec: its program, kept alive, and what is said between the two. The source's
// thread only; in exec/source.cpp what the host asks for, in exec/program.cpp what the program does.
namespace things {

/// A point, by the name that the program has for it.
/// `last` is what was emitted last, or what a write said it left.
struct ExecPoint {
    std::string field;
    std::optional<LineValue> last;
    std::int64_t last_ms = 0; ///< since the Unix epoch
};

/// What the program still owes us.
/// One at a time; an answer with another id is one that was given up and is dropped.
struct ExecPending {
    std::uint64_t id = 0;
    std::vector<std::uint32_t> points; ///< of a poll: not heard of yet
    bool ended = false, failed = false;
    std::optional<LineValue> value;
    std::string text;
};

/// What a program printed since it was started, to say why there is no value.
struct ExecOutput {
    std::uint64_t bytes = 0, lines = 0, refused = 0; ///< refused: lines that are none of ours
    std::string last_refused, why_refused;
    std::set<std::string> unknown; ///< fields that no point has; the first few
    std::string last_words;        ///< on standard error
};

/// The program is started by the first call and again when it ended, after a RestartPause. In mode talks it
/// prints when it likes; in mode asked it prints what a poll asks for.
class ExecSource {
public:
    ExecSource(const PluginHost& host, const things_source_config& config);
    ~ExecSource() { child_.stop(stop_patience_); }
    ExecSource(const ExecSource&) = delete;
    ExecSource& operator=(const ExecSource&) = delete;
    /// Null: problem() was told. Starts nothing.
    static std::unique_ptr<ExecSource> make(const PluginHost& host, const things_source_config& config);

    /// Mode talks: takes what was printed so far, then repeats the last values as unchanged. Mode asked: one
    /// line out, and waits for a reading of each field or for {"done":N}.
    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    int listen(std::int64_t deadline_ms);
    /// Waits for {"done":N} or {"failed":N}; N tells a late answer from this one.
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);

private:
    /// True: the program runs. Never waits for the pause before a restart.
    bool run();
    int tell_down();
    /// False: more than 256 KiB were not read by the program.
    bool send(const std::string& line);
    void flush();
    /// Output, messages, input and the host's wake_fd in one poll(2).
    void turn(std::int64_t until_ms);
    void read_output();
    void read_messages();
    /// Notes how it ended, fails what is pending, sets the time of the next start.
    void end(const std::string& how);
    void handle(const Line& line);
    void take(const Line& line);
    int show_last(const std::uint32_t* points, std::uint32_t count);
    /// Of these, those that never had a value.
    [[nodiscard]] std::vector<std::uint32_t> missing(const std::uint32_t* points, std::uint32_t count) const;
    /// Why nothing has come, for whoever asks: from what the program printed so far.
    void tell_reason() const;
    [[nodiscard]] std::string what_came() const;
    void remember_last(std::uint32_t index, const LineValue& value, std::int64_t time_ms);

    PluginHost host_;
    std::vector<std::string> command_;
    std::vector<std::pair<std::string, std::string>> environment_;
    bool is_asked_ = false;
    std::chrono::milliseconds stop_patience_, timeout_;
    std::vector<ExecPoint> points_;
    std::multimap<std::string, std::uint32_t> by_field_;

    Child child_;
    LineBuffer output_, messages_;
    std::string unsent_, ended_; ///< ended_: how the program did, last time
    ExecOutput came_;
    RestartPause pause_;
    std::int64_t start_at_ms_ = 0, started_ms_ = 0;
    /// is_garbled_: a line was invalid and that was told; until a good one the others are not.
    bool is_failing_ = false, is_garbled_ = false;
    std::uint64_t last_id_ = 0;
    ExecPending pending_;
};

/// Milliseconds since the Unix epoch.
inline std::int64_t wall_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace things
