// SPDX-License-Identifier: Apache-2.0
#include "simulator/platform.hpp"

#include "simulator/token.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace things::simulator {
namespace {

constexpr std::string_view ingestion_path = "/ingestion/ip/senml/v1";

// "=NAME" is a whole base name, for devices that are not of the form the Internet page shows.
std::string base_name_of(const std::string& id) {
    return id.front() == '=' ? id.substr(1) : "urn:dev:DVNUUID:" + id + ":";
}

bool is_json(std::string_view content_type) {
    const auto type = content_type.substr(0, content_type.find(';'));
    return type == "application/json" || type == "application/senml+json";
}

std::string clock_text() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char text[16];
    return {text, std::strftime(text, sizeof text, "%H:%M:%S", &local)};
}

std::string value_text(const Accepted& reading) {
    if (const auto* number = std::get_if<double>(&reading.value))
        return to_json(*number);
    if (const auto* boolean = std::get_if<bool>(&reading.value))
        return *boolean ? "true" : "false";
    return to_json(std::get<std::string>(reading.value));
}

const std::string& label_of(const Device& device) {
    return device.name.empty() ? device.id : device.name;
}

} // namespace

Platform::Platform(PlatformOptions options) : options_(options), ledger_(options_.keep) {}

Answer Platform::answer(const Request& request, double now) {
    if (request.method == "HEAD") { // somebody asks for the time: nothing is taken, counted or spoilt
        Answer time;
        time.bytes = render(404, "", "", {}, request.keep_alive);
        return time;
    }
    ++statistics_.requests;
    statistics_.bytes += request.body.size();
    statistics_.largest_body = std::max<std::uint64_t>(statistics_.largest_body, request.body.size());
    Verdict verdict = check_request(request);
    Checked checked;
    if (verdict.status == 202)
        checked = check_senml(request.body, now, options_.rules);
    const auto found = by_base_name_.find(checked.pack.base_name);
    Device* device = found == by_base_name_.end() ? nullptr : &devices_[found->second];
    Behaviour* behaviour = find_behaviour(device);
    Answer answer;
    if (behaviour && !takes_the_pack(behaviour->kind)) {
        ++statistics_.played;
    } else {
        if (verdict.status == 202)
            verdict = check_pack(request, checked, device);
        answer = verdict.status == 202 ? accept(request, checked, *device, now)
                                       : refuse(request, verdict, device, now);
    }
    if (behaviour && (verdict.status == 202 || !takes_the_pack(behaviour->kind))) {
        if (options_.is_verbose) {
            std::printf("%s  playing \"%s\"\n", clock_text().c_str(),
                        std::string(name_of(behaviour->kind)).c_str());
            std::fflush(stdout);
        }
        answer = spoil(*behaviour, std::move(answer), request.keep_alive);
    }
    if (device) {
        answer.device = found->second;
        if (device->in_flight++ > 0)
            ++statistics_.overlapping;
    }
    return answer;
}

std::optional<Answer> Platform::answer_early() {
    const auto next = std::find_if(behaviours_.begin(), behaviours_.end(), [](const Behaviour& b) {
        return b.device.empty() && (b.count == 0 || b.used < b.count);
    });
    if (next == behaviours_.end() || next->kind != Behaviour::Kind::early)
        return std::nullopt;
    ++next->used;
    ++statistics_.requests;
    ++statistics_.played;
    return spoil(*next, {}, false);
}

void Platform::written(const Answer& answer) {
    if (answer.device)
        --devices_[*answer.device].in_flight;
}

Platform::Verdict Platform::check_request(const Request& request) const {
    if (request.path != ingestion_path)
        return {404, "path " + request.path.substr(0, 80) + " instead of " + std::string(ingestion_path)};
    if (request.method != "POST")
        return {405, "method " + request.method.substr(0, 20) + " instead of POST"};
    const auto size = body_size(request);
    if (const auto* why = std::get_if<std::string>(&size))
        return {400, *why};
    if (request.body.size() > options_.max_body)
        return {413, "a body above " + std::to_string(options_.max_body) + " bytes"};
    if (request.count("host") != 1)
        return {400, "no Host header"};
    const auto token = request.header("things-message-token");
    if (!token || request.count("things-message-token") != 1)
        return {400, "no Things-Message-Token header"};
    if (!is_token(*token))
        return {401, "the token is not 64 lower-case hexadecimal digits"};
    if (const auto type = request.header("content-type"); type && !is_json(*type))
        return {400, "Content-Type " + std::string(type->substr(0, 60))};
    return {};
}

// The device first (it has the secret), then the token (nothing unsigned is worth reading), then the
// readings.
Platform::Verdict Platform::check_pack(const Request& request, const Checked& checked,
                                       const Device* device) const {
    if (checked.pack.base_name.empty())
        return {400, checked.refusal.value_or("no base name")};
    if (!device)
        return {404, "unknown device " + checked.pack.base_name.substr(0, 80)};
    if (token_of(request.body, device->secret) != *request.header("things-message-token"))
        return {401, "the token does not fit body and secret"};
    if (checked.refusal)
        return {400, *checked.refusal};
    if (options_.refuses_white_space && checked.pack.has_white_space)
        return {400, "white space in the body"};
    return {};
}

Behaviour* Platform::find_behaviour(const Device* device) {
    for (auto behaviour = behaviours_.begin(); behaviour != behaviours_.end();) {
        if (behaviour->count != 0 && behaviour->used >= behaviour->count) {
            behaviour = behaviours_.erase(behaviour);
            continue;
        }
        if (behaviour->device.empty() || (device && behaviour->device == device->id)) {
            ++behaviour->used;
            return &*behaviour;
        }
        ++behaviour;
    }
    return nullptr;
}

Answer Platform::accept(const Request& request, const Checked& checked, Device& device, double now) {
    ++statistics_.accepted;
    ++device.packs;
    device.readings += checked.pack.readings.size();
    statistics_.most_readings =
        std::max<std::uint64_t>(statistics_.most_readings, checked.pack.readings.size());
    statistics_.white_space += checked.pack.has_white_space ? 1 : 0;
    if (!tokens_.emplace(*request.header("things-message-token")).second)
        ++statistics_.repeated;
    ledger_.add(static_cast<std::uint32_t>(&device - devices_.data()), device.id, checked.pack, now);
    bodies_.push_back(request.body);
    if (bodies_.size() > 100)
        bodies_.pop_front();
    Answer answer;
    if (device.waiting.empty()) {
        answer.bytes = render(202, "", "", {}, request.keep_alive);
        if (options_.is_verbose)
            say(device, checked.pack, nullptr);
        return answer;
    }
    Downlink downlink = std::move(device.waiting.front());
    device.waiting.pop_front();
    downlink.handed_over = now;
    ++statistics_.downlinks;
    answer.bytes = render(downlink.status, downlink.body, downlink.content_type, {}, request.keep_alive);
    if (options_.is_verbose)
        say(device, checked.pack, &downlink);
    handed_over_.emplace_back(device.id, std::move(downlink));
    if (handed_over_.size() > 10000)
        handed_over_.pop_front();
    return answer;
}

Answer Platform::refuse(const Request& request, const Verdict& verdict, Device* device, double now) {
    const std::string reason = std::to_string(verdict.status) + " " + verdict.reason;
    if (statistics_.refused.size() < 1000 || statistics_.refused.count(reason) != 0)
        ++statistics_.refused[reason];
    refusals_.push_back(
        {now, verdict.status, device ? device->id : "", verdict.reason, request.body.substr(0, 400)});
    if (refusals_.size() > 1000)
        refusals_.pop_front();
    if (device) {
        ++device->refused;
        device->last_refusal = reason;
    }
    if (options_.is_verbose) {
        std::printf("%s  %s refused with %s\n", clock_text().c_str(),
                    device ? label_of(*device).c_str() : "a post", reason.c_str());
        std::fflush(stdout);
    }
    Answer answer;
    answer.bytes = render(verdict.status, "", "", {}, request.keep_alive);
    return answer;
}

// One line a pack, for somebody who watches: who, how much, the newest values, and what went back.
void Platform::say(const Device& device, const Pack& pack, const Downlink* downlink) const {
    std::map<std::string, const Accepted*> newest;
    for (const auto& reading : pack.readings) {
        const Accepted*& known = newest[reading.name];
        if (!known || reading.time >= known->time)
            known = &reading;
    }
    std::string line = clock_text() + "  " + label_of(device) +
                       " -> platform: " + std::to_string(pack.readings.size()) +
                       (pack.readings.size() == 1 ? " reading" : " readings");
    std::size_t shown = 0;
    for (const auto& [name, reading] : newest) {
        if (++shown > 6) {
            line += ", ...";
            break;
        }
        line += (shown == 1 ? ": " : ", ") + name + " " + value_text(*reading) +
                (reading->unit.empty() ? "" : " " + reading->unit);
    }
    std::printf("%s\n", line.c_str());
    if (downlink)
        std::printf("%s  platform -> %s: downlink %llu %s\n", clock_text().c_str(), label_of(device).c_str(),
                    static_cast<unsigned long long>(downlink->id), downlink->body.substr(0, 200).c_str());
    std::fflush(stdout);
}

void Platform::set_device(const std::string& id, const std::string& secret, const std::string& name) {
    if (id.empty())
        return;
    const std::string base_name = base_name_of(id);
    if (const auto found = by_base_name_.find(base_name); found != by_base_name_.end()) {
        Device& device = devices_[found->second];
        device.secret = secret;
        if (!name.empty())
            device.name = name;
        return;
    }
    Device device;
    device.id = id;
    device.name = name;
    device.base_name = base_name;
    device.secret = secret;
    by_base_name_.emplace(base_name, static_cast<std::uint32_t>(devices_.size()));
    devices_.push_back(std::move(device));
}

bool Platform::remove_device(const std::string& id) {
    Device* device = find_device(id);
    if (!device)
        return false;
    device->is_removed = true;
    by_base_name_.erase(device->base_name);
    return true;
}

std::optional<std::uint32_t> Platform::number_of(std::string_view text) const {
    for (std::uint32_t i = 0; i < devices_.size(); ++i)
        if (!devices_[i].is_removed && (devices_[i].id == text || devices_[i].base_name == text ||
                                        (!text.empty() && devices_[i].name == text)))
            return i;
    return std::nullopt;
}

Device* Platform::find_device(std::string_view text) {
    const auto number = number_of(text);
    return number ? &devices_[*number] : nullptr;
}

std::uint64_t Platform::add_downlink(Device& device, Downlink downlink) {
    downlink.id = ++last_downlink_;
    device.waiting.push_back(std::move(downlink));
    return last_downlink_;
}

std::vector<std::string> Platform::device_ids() const {
    std::vector<std::string> ids;
    ids.reserve(devices_.size());
    for (const auto& device : devices_)
        ids.push_back(device.id);
    return ids;
}

void Platform::clear() {
    for (auto& device : devices_) {
        device.waiting.clear();
        device.packs = device.readings = device.refused = 0;
        device.last_refusal.clear();
    }
    behaviours_.clear();
    refusals_.clear();
    handed_over_.clear();
    bodies_.clear();
    tokens_.clear();
    statistics_ = {};
    ledger_.clear();
}

} // namespace things::simulator
