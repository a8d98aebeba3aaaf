// SPDX-License-Identifier: Apache-2.0
#include "simulator/ledger.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace things::simulator {
namespace {

std::string value_to_json(const std::variant<double, bool, std::string>& value) {
    if (const auto* number = std::get_if<double>(&value))
        return to_json(*number);
    if (const auto* boolean = std::get_if<bool>(&value))
        return *boolean ? "true" : "false";
    return to_json(std::get<std::string>(value));
}

} // namespace

std::string to_json(std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string to_json(double number) {
    std::array<char, 40> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    return {text.data(), end};
}

void Ledger::open(const std::string& path) {
    file_.open(path, std::ios::app);
    if (!file_)
        throw std::runtime_error("cannot write " + path);
}

void Ledger::add(std::uint32_t device, std::string_view device_id, const Pack& pack, double received) {
    for (const auto& reading : pack.readings) {
        ++total_;
        if (file_.is_open())
            file_ << total_ << '\t' << to_json(received) << '\t' << device_id << '\t' << reading.name << '\t'
                  << to_json(reading.time) << '\t' << reading.unit << '\t' << value_to_json(reading.value)
                  << '\n';
        if (keep_ == 0)
            continue;
        readings_.push_back({total_, device, intern(reading.name), intern(reading.unit), reading.is_data,
                             reading.time, received, reading.value});
        if (readings_.size() > keep_)
            readings_.pop_front();
    }
    if (file_.is_open())
        file_.flush();
}

void Ledger::clear() {
    readings_.clear();
    total_ = 0;
}

std::uint32_t Ledger::intern(const std::string& text) {
    const auto [found, is_new] = numbers_.emplace(text, static_cast<std::uint32_t>(texts_.size()));
    if (is_new)
        texts_.push_back(text);
    return found->second;
}

std::optional<std::uint32_t> Ledger::find(const std::string& text) const {
    const auto found = numbers_.find(text);
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

bool Ledger::matches(const Entry& entry, const Filter& filter, std::optional<std::uint32_t> name) const {
    return (!filter.device || entry.device == *filter.device) &&
           (filter.name.empty() || entry.name == name) && entry.time >= filter.from &&
           entry.time <= filter.until && entry.sequence > filter.since;
}

std::uint64_t Ledger::count(const Filter& filter) const {
    const auto name = find(filter.name);
    return static_cast<std::uint64_t>(
        std::count_if(readings_.begin(), readings_.end(),
                      [&](const Entry& entry) { return matches(entry, filter, name); }));
}

std::string Ledger::list(const Filter& filter, const std::vector<std::string>& device_ids) const {
    const auto name = find(filter.name);
    std::vector<const Entry*> chosen;
    const auto take = [&](const Entry& entry) {
        if (matches(entry, filter, name))
            chosen.push_back(&entry);
        return chosen.size() < filter.limit;
    };
    if (filter.newest) {
        for (auto entry = readings_.rbegin(); entry != readings_.rend() && take(*entry); ++entry) {
        }
        std::reverse(chosen.begin(), chosen.end());
    } else {
        auto entry = std::partition_point(readings_.begin(), readings_.end(),
                                          [&](const Entry& e) { return e.sequence <= filter.since; });
        for (; entry != readings_.end() && take(*entry); ++entry) {
        }
    }
    std::string out = R"({"next":)" +
                      std::to_string(chosen.empty() ? filter.since : chosen.back()->sequence) +
                      R"(,"forgotten":)" + std::to_string(forgotten()) + R"(,"readings":[)";
    for (const Entry* entry : chosen) {
        if (out.back() != '[')
            out += ',';
        out += R"({"sequence":)" + std::to_string(entry->sequence) + R"(,"device":)" +
               to_json(device_ids[entry->device]) + R"(,"name":)" + to_json(texts_[entry->name]) +
               R"(,"unit":)" + (texts_[entry->unit].empty() ? "null" : to_json(texts_[entry->unit])) +
               R"(,"time":)" + to_json(entry->time) + R"(,"received":)" + to_json(entry->received) +
               R"(,"value":)" + value_to_json(entry->value) + (entry->is_data ? R"(,"data":true})" : "}");
    }
    return out + "]}";
}

} // namespace things::simulator
