// SPDX-License-Identifier: Apache-2.0
#include "simulator/control.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <stdexcept>

namespace things::simulator {
namespace {

using nlohmann::json;

constexpr std::string_view help = R"(things-simulator control port
GET /stats /devices /accepted /accepted/count /packs /refused /downlinks /behaviour
POST /devices /downlinks /behaviour /limits /clear    DELETE /devices?id=ID /behaviour
)";

struct BadRequest : std::runtime_error {
    using std::runtime_error::runtime_error;
};

json parse(const std::string& body) {
    json document = json::parse(body, nullptr, false);
    if (document.is_discarded())
        throw BadRequest("the body is not JSON");
    return document;
}

std::string dump(const json& document) {
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <typename T>
T parameter(const Request& request, const char* name, T otherwise) {
    const auto found = request.query.find(name);
    if (found == request.query.end())
        return otherwise;
    const auto& text = found->second;
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw BadRequest(std::string(name) + " is not a number");
    return value;
}

std::string text_parameter(const Request& request, const char* name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
}

// Retry-After may be given as a number or as text.
std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null())
        return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
}

Behaviour behaviour_of(const json& object) {
    Behaviour behaviour;
    const auto kind = parse_kind(object.value("kind", std::string("status")));
    if (!kind)
        throw BadRequest("unknown kind of behaviour");
    behaviour.kind = *kind;
    behaviour.status = object.value("status", *kind == Behaviour::Kind::accept ? 202 : 503);
    behaviour.device = object.value("device", std::string());
    behaviour.retry_after = text_of(object, "retry_after");
    behaviour.location = object.value("location", std::string());
    behaviour.body = object.value("body", std::string());
    behaviour.more = object.value("more", std::string());
    behaviour.content_type = object.value("content_type", std::string());
    behaviour.delay = std::chrono::milliseconds(object.value("delay_ms", 0));
    behaviour.drip = std::chrono::milliseconds(object.value("drip_ms", 20));
    behaviour.bytes = object.value("bytes", std::uint64_t{100'000'000});
    behaviour.count = object.value("count", std::uint64_t{1});
    return behaviour;
}

/// Bytes that JSON cannot hold as text.
std::string from_hex(const std::string& hex) {
    std::string bytes(hex.size() / 2, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned byte = 0;
        const char* pair = hex.data() + 2 * i;
        if (std::from_chars(pair, pair + 2, byte, 16).ptr != pair + 2)
            throw BadRequest("hex is not pairs of hexadecimal digits");
        bytes[i] = static_cast<char>(byte);
    }
    return bytes;
}

json to_json_value(const Downlink& downlink, const std::string& device) {
    return {{"id", downlink.id},
            {"device", device},
            {"body", downlink.body},
            {"handed_over", downlink.handed_over ? json(*downlink.handed_over) : json()}};
}

} // namespace

Answer Control::answer(const Request& request) {
    Reply reply;
    try {
        reply = route(request);
    } catch (const BadRequest& error) {
        reply = {400, dump({{"error", error.what()}})};
    } catch (const json::exception& error) {
        reply = {400, dump({{"error", error.what()}})};
    }
    Answer answer;
    const bool is_text = !reply.body.empty() && reply.body.front() != '{' && reply.body.front() != '[';
    answer.bytes =
        render(reply.status, reply.body, is_text ? "text/plain" : "application/json", {}, request.keep_alive);
    return answer;
}

Control::Reply Control::route(const Request& request) {
    const std::string what = request.method + " " + request.path;
    if (what == "GET /")
        return {200, std::string(help)};
    if (what == "GET /stats")
        return stats();
    if (what == "GET /devices")
        return devices();
    if (what == "POST /devices")
        return change_device(request.body);
    if (what == "DELETE /devices")
        return platform_.remove_device(text_parameter(request, "id")) ? Reply{200, "{}"} : Reply{404, "{}"};
    if (what == "GET /accepted" || what == "GET /accepted/count")
        return accepted(request, what.size() > 13);
    if (what == "GET /packs")
        return packs();
    if (what == "GET /refused")
        return refused();
    if (what == "GET /downlinks")
        return downlinks();
    if (what == "POST /downlinks")
        return add_downlink(request.body);
    if (what == "GET /behaviour")
        return behaviours();
    if (what == "POST /behaviour")
        return add_behaviours(request.body);
    if (what == "DELETE /behaviour") {
        platform_.clear_behaviours();
        return {200, "{}"};
    }
    if (what == "POST /limits") {
        platform_.set_max_body(parse(request.body).at("max_body").get<std::size_t>());
        return {200, "{}"};
    }
    if (what == "POST /clear") {
        platform_.clear();
        return {200, "{}"};
    }
    return {404, R"({"error":"unknown path, GET / lists them"})"};
}

Control::Reply Control::stats() const {
    const Statistics& s = platform_.statistics();
    const Traffic& traffic = listener_->traffic();
    return {200, dump({{"requests", s.requests},
                       {"accepted_packs", s.accepted},
                       {"accepted_readings", platform_.ledger().total()},
                       {"body_bytes", s.bytes},
                       {"largest_body", s.largest_body},
                       {"most_readings", s.most_readings},
                       {"refused", s.refused},
                       {"played", s.played},
                       {"repeated_packs", s.repeated},
                       {"white_space_packs", s.white_space},
                       {"overlapping_requests", s.overlapping},
                       {"downlinks_handed_over", s.downlinks},
                       {"connections", traffic.connections},
                       {"open_connections", traffic.open},
                       {"failed_handshakes", traffic.failed_handshakes},
                       {"listening", listener_->is_open()}})};
}

Control::Reply Control::devices() const {
    json list = json::array();
    for (const auto& device : platform_.devices())
        if (!device.is_removed)
            list.push_back({{"id", device.id},
                            {"name", device.name},
                            {"base_name", device.base_name},
                            {"packs", device.packs},
                            {"readings", device.readings},
                            {"refused", device.refused},
                            {"last_refusal", device.last_refusal},
                            {"waiting_downlinks", device.waiting.size()}});
    return {200, dump({{"devices", std::move(list)}})};
}

Control::Reply Control::change_device(const std::string& body) {
    const json object = parse(body);
    platform_.set_device(object.at("id").get<std::string>(), object.at("secret").get<std::string>(),
                         object.value("name", std::string()));
    return {200, "{}"};
}

Control::Reply Control::accepted(const Request& request, bool is_count) {
    Ledger::Filter filter;
    filter.since = parameter<std::uint64_t>(request, "since", 0);
    filter.limit = parameter<std::size_t>(request, "limit", 10000);
    filter.newest = parameter<int>(request, "newest", 0) != 0;
    filter.from = parameter<double>(request, "from", 0);
    filter.until = parameter<double>(request, "until", 1e12);
    filter.name = text_parameter(request, "name");
    if (const auto device = text_parameter(request, "device"); !device.empty()) {
        filter.device = platform_.number_of(device);
        if (!filter.device)
            throw BadRequest("unknown device");
    }
    const Ledger& ledger = platform_.ledger();
    if (!is_count)
        return {200, ledger.list(filter, platform_.device_ids())};
    return {200, dump({{"readings", ledger.count(filter)},
                       {"kept", ledger.total() - ledger.forgotten()},
                       {"total", ledger.total()},
                       {"packs", platform_.statistics().accepted}})};
}

Control::Reply Control::packs() const {
    return {200, dump({{"packs", platform_.bodies()}})};
}

Control::Reply Control::refused() const {
    json list = json::array();
    for (const auto& refusal : platform_.refusals())
        list.push_back({{"at", refusal.at},
                        {"status", refusal.status},
                        {"device", refusal.device},
                        {"reason", refusal.reason},
                        {"body", refusal.body}});
    return {200, dump({{"refused", std::move(list)}})};
}

Control::Reply Control::downlinks() const {
    json waiting = json::array();
    json handed_over = json::array();
    for (const auto& device : platform_.devices())
        for (const auto& downlink : device.waiting)
            waiting.push_back(to_json_value(downlink, device.id));
    for (const auto& [device, downlink] : platform_.handed_over())
        handed_over.push_back(to_json_value(downlink, device));
    return {200, dump({{"waiting", std::move(waiting)}, {"handed_over", std::move(handed_over)}})};
}

Control::Reply Control::add_downlink(const std::string& body) {
    json object = parse(body);
    Device* device = platform_.find_device(object.at("device").get<std::string>());
    if (!device)
        return {404, R"({"error":"unknown device"})"};
    Downlink downlink;
    downlink.status = object.value("status", 200);
    downlink.content_type = object.value("content_type", downlink.content_type);
    if (object.contains("hex")) {
        downlink.body = from_hex(object["hex"].get<std::string>());
    } else if (object.contains("body")) {
        downlink.body = object["body"].get<std::string>();
    } else {
        json& pack = object.at("pack");
        if (pack.is_array() && !pack.empty() && pack[0].is_object() && !pack[0].contains("bn"))
            pack[0]["bn"] = device->base_name;
        downlink.body = dump(pack);
    }
    json ids = json::array();
    for (int times = object.value("times", 1); times > 0; --times)
        ids.push_back(platform_.add_downlink(*device, downlink));
    return {200, dump({{"ids", std::move(ids)}})};
}

Control::Reply Control::behaviours() const {
    json list = json::array();
    for (const auto& behaviour : platform_.behaviours())
        list.push_back({{"kind", name_of(behaviour.kind)},
                        {"status", behaviour.status},
                        {"device", behaviour.device},
                        {"count", behaviour.count},
                        {"used", behaviour.used}});
    return {200, dump({{"behaviours", std::move(list)}, {"down", !listener_->is_open()}})};
}

Control::Reply Control::add_behaviours(const std::string& body) {
    json document = parse(body);
    if (!document.is_array())
        document = json::array({std::move(document)});
    for (const auto& object : document) {
        const auto kind = object.value("kind", std::string("status"));
        if (kind == "down")
            listener_->close();
        else if (kind == "up")
            listener_->open();
        else
            platform_.add_behaviour(behaviour_of(object));
    }
    return {200, "{}"};
}

} // namespace things::simulator
