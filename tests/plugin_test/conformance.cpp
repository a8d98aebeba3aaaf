// SPDX-License-Identifier: Apache-2.0
#include "plugin_test/conformance.hpp"

#include "polling/host_protocol.hpp"
#include "polling/keeping_sink.hpp"
#include "polling/remote_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace things {

namespace {

constexpr std::int64_t call_time_ms = 3000, listen_time_ms = 300, prompt_ms = 1000;

/// A value that a key of this type and range would take.
Scalar made_up(const KeyDescription& key) {
    const bool has_range = key.minimum != 0 || key.maximum != 0;
    switch (key.type) {
    case SettingType::boolean:
        return false;
    case SettingType::integer:
    case SettingType::duration:
        return static_cast<std::int64_t>(has_range ? key.minimum : 1);
    case SettingType::number:
        return has_range ? key.minimum : 1.0;
    case SettingType::choice:
        return key.choices.front();
    default:
        return std::string(key.name == "host" ? "127.0.0.1" : "things-test");
    }
}

/// What a plugin says it must have at one level: required keys, and the first key of each group.
std::vector<Setting> required_settings(const PluginDescription& plugin, Level level) {
    std::vector<Setting> settings;
    std::set<std::string> groups;
    for (const KeyDescription& key : plugin.keys) {
        const bool is_first = !key.group.empty() && groups.insert(key.group).second;
        // The first key of a group stands for it: one of them must be there.
        if (key.level != level || (!key.required && !is_first))
            continue;
        Setting setting;
        setting.key = key.name;
        if (key.type == SettingType::list)
            // A list that is required is most often a command, as with exec.
            setting.items = {std::string("/bin/true")};
        else if (key.type != SettingType::map)
            setting.value = made_up(key);
        settings.push_back(std::move(setting));
    }
    return settings;
}

class Examination {
public:
    Examination(SourceWork work, std::filesystem::path file, const SourceOptions& options,
                const std::function<void(const Finding&)>& on_finding)
        : work_(std::move(work)), file_(std::move(file)), options_(options), on_finding_(on_finding) {}

    bool run();

private:
    void say(Finding::Grade grade, const std::string& what, const std::string& text = {});
    void describe();
    bool create();
    void check_problems();
    void poll();
    void check_readings(const std::string& what, const std::vector<std::uint32_t>& asked);
    void interrupt();
    void listen();
    void write();
    void discover();
    void plan();
    void destroy();
    /// Makes one call; says what came of it. True if it came back in time and the plugin lived.
    template <typename Function>
    bool call(const std::string& what, std::int64_t time_ms, const Function& function);

    SourceWork work_;
    const std::filesystem::path file_;
    const SourceOptions options_;
    const std::function<void(const Finding&)>& on_finding_;
    PluginDescription plugin_;
    KeepingSink sink_;
    std::unique_ptr<Driver> driver_;
    CallResult result_;
    bool passed_ = true;
    std::string failed_; ///< what failed last
};

void Examination::say(Finding::Grade grade, const std::string& what, const std::string& text) {
    if (grade == Finding::Grade::pass && what == failed_)
        return; // it came back, but not as it should
    if (grade == Finding::Grade::fail) {
        passed_ = false;
        failed_ = what;
    }
    on_finding_({grade, what, text});
}

void Examination::describe() {
    say(Finding::Grade::pass, "load",
        fmt::format("{} {}: {}; {} keys", plugin_.name, plugin_.version, plugin_.summary,
                    plugin_.keys.size()));
    if (plugin_.summary.empty() || plugin_.version.empty())
        say(Finding::Grade::warning, "describe", "a version and a summary help whoever installs it");
    for (const KeyDescription& key : plugin_.keys)
        if (key.help.empty())
            say(Finding::Grade::warning, "describe", fmt::format("key {} has no help", key.name));
}

template <typename Function>
bool Examination::call(const std::string& what, std::int64_t time_ms, const Function& function) {
    sink_.forget();
    const std::int64_t start = steady_ms();
    result_ = function(start + time_ms);
    const std::int64_t took = steady_ms() - start;
    if (result_.status == CallResult::Status::dead) {
        say(Finding::Grade::fail, what, result_.text);
        (void)driver_->create(); // for what comes next
        return false;
    }
    if (!result_.text.empty())
        say(Finding::Grade::fail, what, result_.text);
    if (sink_.garbage > 0)
        say(Finding::Grade::fail, what,
            fmt::format("emitted {} ({} times)", sink_.garbage_why, sink_.garbage));
    if (took > time_ms + prompt_ms)
        say(Finding::Grade::fail, what,
            fmt::format("took {} ms, its deadline was {} ms: return THINGS_INTERRUPTED in time", took,
                        time_ms));
    return true;
}

bool Examination::create() {
    sink_.forget();
    const std::int64_t start = steady_ms();
    const CallResult made = driver_->create();
    if (made.status == CallResult::Status::ok) {
        const std::int64_t took = steady_ms() - start;
        say(took > 2000 ? Finding::Grade::warning : Finding::Grade::pass, "create",
            took > 2000 ? fmt::format("took {} ms; it must not touch the device", took) : "");
        return true;
    }
    std::string text = made.text;
    for (const SettingProblem& problem : sink_.problems)
        text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", problem.key, problem.message);
    say(Finding::Grade::fail, "create",
        text.empty() ? "failed without calling problem()"
                     : text + " (if it needs other settings than guessed, give it a configuration)");
    return false;
}

/// A wrong setting must be refused in words, or ignored; it must not kill.
void Examination::check_problems() {
    SourceWork wrong = work_;
    for (Setting& setting : wrong.config.settings)
        setting.value = std::string("\xF0\x9F\x98\x80 no such thing");
    for (SourcePoint& point : wrong.points)
        for (Setting& setting : point.config.settings)
            setting.value = std::int64_t{-1};
    const auto driver = make_remote_driver(wrong, file_, false, options_, sink_);
    sink_.forget();
    const CallResult made = driver->create();
    if (made.status == CallResult::Status::dead)
        say(Finding::Grade::fail, "create: settings that make no sense", made.text);
    else if (made.status != CallResult::Status::ok && sink_.problems.empty())
        say(Finding::Grade::warning, "create: settings that make no sense",
            "refused without calling problem(), so nobody learns why");
    else
        say(Finding::Grade::pass, "create: settings that make no sense");
}

void Examination::check_readings(const std::string& what, const std::vector<std::uint32_t>& asked) {
    for (const RawReading& reading : sink_.readings)
        if (reading.point >= work_.points.size())
            say(Finding::Grade::fail, what,
                fmt::format("emitted a reading of point {}, which is none", reading.point));
        else if (std::find(asked.begin(), asked.end(), reading.point) == asked.end())
            say(Finding::Grade::warning, what,
                fmt::format("emitted point {}, which was not asked for", reading.point));
    for (const SourceEvent& event : sink_.events)
        if (event.text.empty() || event.code.empty())
            say(Finding::Grade::warning, what, "reported something without a code or a text");
    const bool only_waits = plugin_.listens && result_.status == CallResult::Status::timeout;
    // A plugin that listens may have heard nothing yet: the contract lets it say so by timeout alone.
    if (result_.status != CallResult::Status::ok && sink_.events.empty() && !only_waits)
        say(Finding::Grade::fail, what, "failed without a word: call report() before returning");
    if (result_.status == CallResult::Status::ok && sink_.readings.empty() && sink_.events.empty() &&
        !plugin_.listens)
        say(Finding::Grade::warning, what, "came back well, but neither emitted nor reported anything");
}

void Examination::poll() {
    if (!plugin_.polls)
        return;
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < work_.points.size(); ++i)
        all.push_back(i);
    // Also none at all: a plugin that looks at the first one shows here.
    const std::vector<std::vector<std::uint32_t>> sets = {all, {all.front()}, {}, {all.rbegin(), all.rend()}};
    const char* names[] = {"poll: all points", "poll: one point", "poll: no point", "poll: in reverse order"};
    for (std::size_t i = 0; i < sets.size(); ++i) {
        if (!call(names[i], call_time_ms,
                  [this, &sets, i](std::int64_t deadline) { return driver_->poll(sets[i], deadline); }))
            continue;
        if (!sets[i].empty())
            check_readings(names[i], sets[i]);
        say(Finding::Grade::pass, names[i],
            fmt::format("{} readings, {} events", sink_.readings.size(), sink_.events.size()));
    }
    const std::string late = "poll: with a deadline that is over";
    if (call(late, 0, [this, &all](std::int64_t) { return driver_->poll(all, steady_ms() - 1); }))
        say(Finding::Grade::pass, late);
}

void Examination::interrupt() {
    sink_.interrupt(true);
    const std::int64_t start = steady_ms();
    const std::string what = "interrupt";
    if (plugin_.listens) {
        if (call(what, call_time_ms, [this](std::int64_t deadline) { return driver_->listen(deadline); }))
            say(steady_ms() - start > prompt_ms ? Finding::Grade::fail : Finding::Grade::pass,
                what + ": listen",
                steady_ms() - start > prompt_ms ? "did not return: watch interrupted() or wake_fd" : "");
    } else if (call(what, call_time_ms,
                    [this](std::int64_t deadline) { return driver_->poll({0}, deadline); })) {
        say(steady_ms() - start > prompt_ms ? Finding::Grade::warning : Finding::Grade::pass,
            what + ": poll");
    }
    sink_.interrupt(false);
}

void Examination::listen() {
    if (!plugin_.listens)
        return;
    if (call("listen", listen_time_ms, [this](std::int64_t deadline) { return driver_->listen(deadline); }))
        say(Finding::Grade::pass, "listen",
            fmt::format("{} readings in {} ms", sink_.readings.size(), listen_time_ms));
}

void Examination::write() {
    const auto place = std::find_if(work_.points.begin(), work_.points.end(), [](const SourcePoint& point) {
        return point.config.writable.has_value();
    });
    if (!plugin_.writes || place == work_.points.end()) // the host never writes to any other
        return;
    const auto index = static_cast<std::uint32_t>(place - work_.points.begin());
    const std::pair<const char*, Value> values[] = {{"write: a number", 1.0},
                                                    {"write: an integer", std::int64_t{1}},
                                                    {"write: the largest integer", std::uint64_t{UINT64_MAX}},
                                                    {"write: a truth value", true},
                                                    {"write: a text", std::string("on")},
                                                    {"write: a text of 4096 bytes", std::string(4096, 'x')}};
    for (const auto& [what, value] : values) {
        const Value& wanted = value;
        if (!call(what, call_time_ms, [this, index, &wanted](std::int64_t deadline) {
                return driver_->write(index, wanted, deadline);
            }))
            continue;
        if (result_.status != CallResult::Status::ok && sink_.events.empty())
            say(Finding::Grade::fail, what, "failed without a word: call report() before returning");
        say(Finding::Grade::pass, what, result_.status == CallResult::Status::ok ? "written" : "not written");
    }
}

void Examination::discover() {
    if (!plugin_.discovers)
        return;
    sink_.interrupt(true); // a scan may be long; that it can be ended is what is tried
    if (call("discover: interrupted", call_time_ms,
             [this](std::int64_t deadline) { return driver_->discover({}, deadline); }))
        say(Finding::Grade::pass, "discover: interrupted");
    sink_.interrupt(false);
}

void Examination::plan() {
    if (!plugin_.plans)
        return;
    if (call("plan", 10'000, [this](std::int64_t) { return driver_->plan(); })) {
        for (const std::string& line : sink_.found)
            if (line.empty() || line.front() != '{' || line.back() != '}')
                say(Finding::Grade::fail, "plan", "found() wants one JSON object: " + line.substr(0, 80));
        say(Finding::Grade::pass, "plan", fmt::format("{} lines", sink_.found.size()));
    }
}

void Examination::destroy() {
    const std::int64_t start = steady_ms();
    driver_->destroy();
    const std::int64_t took = steady_ms() - start;
    say(took > 2000 ? Finding::Grade::warning : Finding::Grade::pass, "destroy",
        took > 2000 ? fmt::format("took {} ms", took) : "");
}

bool Examination::run() {
    HelloFrame hello = ask_plugin(file_, options_);
    if (!hello.error.empty()) {
        say(Finding::Grade::fail, "load", hello.error);
        return false;
    }
    plugin_ = std::move(hello.description);
    describe();
    work_.config.plugin = plugin_.name;
    if (work_.config.name.empty())
        work_.config.name = "test";
    if (work_.points.empty()) {
        work_.config.settings = required_settings(plugin_, Level::source);
        work_.devices = {{"device", required_settings(plugin_, Level::device)}};
        SourcePoint point;
        point.config.name = "point";
        point.config.writable.emplace();
        point.config.settings = required_settings(plugin_, Level::point);
        work_.points = {point};
    }
    driver_ = make_remote_driver(work_, file_, false, options_, sink_);
    if (!create())
        return false;
    check_problems();
    plan();
    poll();
    listen();
    write();
    interrupt();
    discover();
    destroy();
    return passed_;
}

} // namespace

bool test_plugin(const std::filesystem::path& file, SourceWork work, const SourceOptions& options,
                 const std::function<void(const Finding&)>& on_finding) {
    return Examination(std::move(work), file, options, on_finding).run();
}

} // namespace things
