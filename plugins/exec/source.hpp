// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exec/child.hpp"
#include "exec/line.hpp"
#include "things_plugin.hpp"

#include <map>

// One source of the plugin exec: its program, kept alive, and what is said between the two. The source's
// thread only; in exec/source.cpp what the host asks for, in exec/program.cpp what the program does.
namespace things {

/// A point, by the name that the program has for it.
struct ExecPoint {
    std::string field;
    std::optional<LineValue> last;
    std::int64_t last_ms = 0; ///< since the Unix epoch
};

/// What the program still owes us.
struct ExecPending {
    std::uint64_t id = 0;
    std::vector<std::uint32_t> points; ///< of a poll: not heard of yet
    bool ended = false, failed = false;
    std::optional<LineValue> value;
    std::string text;
};

class ExecSource {
public:
    ExecSource(const PluginHost& host, const things_source_config& config);
    ~ExecSource() { child_.stop(stop_patience_); }
    ExecSource(const ExecSource&) = delete;
    ExecSource& operator=(const ExecSource&) = delete;
    static std::unique_ptr<ExecSource> make(const PluginHost& host, const things_source_config& config);

    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    int listen(std::int64_t deadline_ms);
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);

private:
    bool run();
    int tell_down();
    bool send(const std::string& line);
    void flush();
    void turn(std::int64_t until_ms);
    void read_output();
    void read_messages();
    void end(const std::string& how);
    void handle(const Line& line);
    void take(const Line& line);
    int show_last(const std::uint32_t* points, std::uint32_t count);
    void remember_last(std::uint32_t index, const LineValue& value, std::int64_t time_ms);

    PluginHost host_;
    std::vector<std::string> command_;
    std::vector<std::pair<std::string, std::string>> environment_;
    bool is_asked_ = false;
    std::chrono::milliseconds stop_patience_;
    std::vector<ExecPoint> points_;
    std::multimap<std::string, std::uint32_t> by_field_;

    Child child_;
    LineBuffer output_, messages_;
    std::string unsent_, ended_; ///< ended_: how the program did, last time
    std::int64_t started_ms_ = 0, start_at_ms_ = 0, pause_ms_ = 0;
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

/// Text stays where it is: the value must live on.
inline things_value to_plugin(const LineValue& value) {
    return std::visit([](const auto& v) { return make_value(v); }, value);
}

} // namespace things
