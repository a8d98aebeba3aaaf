// SPDX-License-Identifier: Apache-2.0
#include "status/alarms.hpp"

#include <algorithm>
#include <string_view>

namespace things {

/// An alarm's record in the log, with the source and device that its key names:
/// "source/plc/device/boiler", "device/boiler/parked".
void Alarms::tell(log::Level level, const std::string& text, const std::string& key) const {
    const auto name_after = [&key](std::string_view kind) -> std::string_view {
        const std::size_t at = key.starts_with(kind) ? 0 : key.find('/' + std::string(kind));
        if (at == std::string::npos)
            return {};
        const std::size_t begin = at + (at > 0 ? 1 : 0) + kind.size();
        return std::string_view(key).substr(begin, key.find('/', begin) - begin);
    };
    log::write(level, text,
               {{"GATEWAY", gateway_},
                {"ALARM", key},
                {"SOURCE", name_after("source/")},
                {"DEVICE", name_after("device/")}});
}

void Alarms::raise(const std::string& key, const std::string& text, const std::string& advice, bool urgent,
                   std::int64_t now_ms, Log told) {
    const auto [at, is_new] = alarms_.try_emplace(key, AlarmView{key, text, advice, now_ms, urgent});
    if (is_new) {
        if (told == Log::told_already)
            return;
        tell(urgent ? log::Level::error : log::Level::warning, advice.empty() ? text : text + "; " + advice,
             key);
        return;
    }
    // An alarm that stands has been logged; its text may count on without a word.
    at->second.text = text;
    at->second.advice = advice;
    at->second.urgent = urgent;
}

void Alarms::clear(const std::string& key, Log told) {
    const auto at = alarms_.find(key);
    if (at == alarms_.end())
        return;
    if (told == Log::here)
        tell(log::Level::info, "over: " + at->second.text, key);
    alarms_.erase(at);
}

void Alarms::clear_all(const std::string& prefix) {
    // The map is sorted, so all keys with one beginning stand together.
    for (auto at = alarms_.lower_bound(prefix); at != alarms_.end() && at->first.starts_with(prefix);)
        at = alarms_.erase(at);
}

const AlarmView* Alarms::find(const std::string& key) const {
    const auto at = alarms_.find(key);
    return at == alarms_.end() ? nullptr : &at->second;
}

std::vector<AlarmView> Alarms::list() const {
    std::vector<AlarmView> all;
    for (const auto& [key, alarm] : alarms_)
        all.push_back(alarm);
    std::stable_sort(all.begin(), all.end(), [](const AlarmView& a, const AlarmView& b) {
        return a.urgent != b.urgent ? a.urgent : a.since_ms < b.since_ms;
    });
    return all;
}

} // namespace things
