// SPDX-License-Identifier: Apache-2.0
#include "config/point_reader.hpp"

#include "config/names.hpp"
#include "config/scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace things {

namespace {

std::optional<double> number_of(const Value& value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value))
        return static_cast<double>(*whole);
    if (const auto* large = std::get_if<std::uint64_t>(&value))
        return static_cast<double>(*large);
    if (const auto* number = std::get_if<double>(&value))
        return *number;
    return std::nullopt;
}

std::string value_text(const Node& node) {
    return node.quoted ? fmt::format("\"{}\"", node.text) : node.text;
}

// A value that the rules themselves exclude can never be written.
void check_inside(const Writable& writable, const Value& value, const Node& node, const char* key,
                  Problems& problems) {
    const std::optional<double> number = number_of(value);
    if (number && writable.min && *number < *writable.min)
        problems.error(node.place(), fmt::format("{}: {} is below min {}", key, value_text(node),
                                                 number_text(*writable.min)));
    if (number && writable.max && *number > *writable.max)
        problems.error(node.place(), fmt::format("{}: {} is above max {}", key, value_text(node),
                                                 number_text(*writable.max)));
}

void read_allowed(const Node& list, Writable& writable, Problems& problems) {
    if (!list.is_list()) {
        problems.error(list.place(), "allowed: expected a list of values such as [0, 1]");
        return;
    }
    for (const Node& item : list.children) {
        const std::optional<Value> value = item.is_scalar() ? to_value(guess_scalar(item)) : std::nullopt;
        if (!value) {
            problems.error(item.place(), fmt::format("allowed: expected a value, got {}", item.kind_name()));
            continue;
        }
        check_inside(writable, *value, item, "allowed", problems);
        writable.allowed.push_back(*value);
    }
}

void read_revert(const Node& node, Writable& writable, Problems& problems) {
    if (!node.is_map()) {
        problems.error(node.place(),
                       fmt::format("revert: expected a mapping such as {{after: 1h, to: 20}}, got {}",
                                   node.kind_name()));
        return;
    }
    Section section("revert", node.place(), entries_of(node), revert_keys(), problems);
    section.check_names();
    Revert revert;
    section.read("after", revert.after);
    const Node* to = section.node("to");
    if (!to)
        return;
    const std::optional<Value> value = to->is_scalar() ? to_value(guess_scalar(*to)) : std::nullopt;
    if (!value) {
        problems.error(to->place(), fmt::format("to: expected a value, got {}", to->kind_name()));
        return;
    }
    check_inside(writable, *value, *to, "to", problems);
    if (!writable.allowed.empty() &&
        std::find(writable.allowed.begin(), writable.allowed.end(), *value) == writable.allowed.end())
        problems.error(to->place(), fmt::format("to: {} is not among the allowed values", value_text(*to)));
    revert.to = *value;
    writable.revert = revert;
}

} // namespace

std::optional<Value> to_value(const Scalar& scalar) {
    struct Convert {
        std::optional<Value> operator()(std::monostate) const { return std::nullopt; }
        std::optional<Value> operator()(bool value) const { return Value(value); }
        std::optional<Value> operator()(std::int64_t value) const { return Value(value); }
        std::optional<Value> operator()(std::uint64_t value) const { return Value(value); }
        std::optional<Value> operator()(double value) const { return Value(value); }
        std::optional<Value> operator()(const std::string& value) const { return Value(value); }
    };
    return std::visit(Convert{}, scalar);
}

Report read_report(const Node& node, Problems& problems) {
    Report report;
    if (!node.is_map()) {
        problems.error(
            node.place(),
            fmt::format("report: expected a mapping such as {{on_change: true}}, got {}", node.kind_name()));
        return report;
    }
    Section section("report", node.place(), entries_of(node), report_keys(), problems);
    section.check_names();
    section.read("on_change", report.on_change);
    section.read("deadband", report.deadband);
    section.read("heartbeat", report.heartbeat);
    section.read("window", report.window);
    if (const std::optional<std::size_t> choice = section.choice("aggregate"))
        // 0 is none, which the key has no word for.
        report.aggregate = static_cast<Aggregate>(*choice + 1);
    if (section.has("on_change") && !report.on_change &&
        (report.deadband > 0 || report.heartbeat.count() > 0))
        problems.error(section.place(report.deadband > 0 ? "deadband" : "heartbeat"),
                       fmt::format("{} means nothing with on_change: false; leave one out",
                                   report.deadband > 0 ? "deadband" : "heartbeat"));
    if (!section.has("on_change"))
        report.on_change = report.deadband > 0 || report.heartbeat.count() > 0;
    if (report.aggregate != Aggregate::none && report.window.count() == 0)
        problems.error(section.place("aggregate"), "aggregate needs a window, such as window: 5m");
    if (section.has("window") && !section.has("aggregate"))
        problems.error(section.place("window"),
                       "window means nothing without aggregate; add mean, min, max or last");
    return report;
}

std::optional<Writable> read_writable(const Node& node, Problems& problems) {
    Writable writable;
    if (node.is_scalar()) {
        // "true" in quotes is a text.
        const std::optional<bool> is_writable = node.quoted ? std::nullopt : parse_boolean(node.text);
        if (!is_writable)
            problems.error(
                node.place(),
                fmt::format("writable: expected true, false or limits such as {{min: 5, max: 30}}, "
                            "got {}",
                            quote(node.text)));
        return is_writable.value_or(false) ? std::optional<Writable>(writable) : std::nullopt;
    }
    if (!node.is_map()) {
        problems.error(node.place(),
                       fmt::format("writable: expected true, false or limits such as {{min: 5, max: 30}}, "
                                   "got {}",
                                   node.kind_name()));
        return std::nullopt;
    }
    Section section("writable", node.place(), entries_of(node), writable_keys(), problems);
    section.check_names();
    section.read("min", writable.min);
    section.read("max", writable.max);
    section.read("max_step", writable.max_step);
    section.read("min_interval", writable.min_interval);
    section.read("settle", writable.settle);
    section.read("ttl", writable.ttl);
    section.read("repeat_window", writable.repeat_window);
    section.read("momentary", writable.momentary);
    section.read("retry", writable.retry);
    section.read("outcome", writable.outcome);
    if (writable.min && writable.max && *writable.min >= *writable.max)
        problems.error(section.place("max"),
                       fmt::format("max {} must be above min {}", number_text(*writable.max),
                                   number_text(*writable.min)));
    if (writable.max_step && *writable.max_step == 0)
        problems.error(section.place("max_step"),
                       "max_step: with 0 nothing could ever be written; leave the key out");
    std::string why;
    if (!writable.outcome.empty() && !is_senml_name(writable.outcome, why))
        problems.error(section.place("outcome"), fmt::format("outcome {}: {}", quote(writable.outcome), why));
    if (const Node* allowed = section.node("allowed"))
        read_allowed(*allowed, writable, problems);
    if (const Node* revert = section.node("revert"))
        read_revert(*revert, writable, problems);
    if (writable.momentary && writable.retry)
        problems.error(section.place("retry"),
                       "retry: a momentary point is never written again by itself; leave one out");
    if (writable.momentary && writable.revert)
        problems.error(section.place("revert"),
                       "revert: a momentary point holds nothing to fall back from; leave one out");
    if (writable.momentary && section.has("settle"))
        problems.error(section.place("settle"), "settle: a momentary point is not read back; leave one out");
    return writable;
}

std::vector<std::pair<std::int64_t, std::string>> read_labels(const Node& node, Problems& problems) {
    std::vector<std::pair<std::int64_t, std::string>> labels;
    std::unordered_set<std::int64_t> numbers;
    if (!node.is_map() || node.children.empty()) {
        problems.error(node.place(),
                       fmt::format("labels: expected a mapping such as {{0: \"off\", 1: \"on\"}}, got {}",
                                   node.is_map() ? "an empty one" : node.kind_name()));
        return labels;
    }
    for (const auto& [key, word] : entries_of(node)) {
        std::optional<std::int64_t> number = parse_integer(key->text);
        if (!number)
            // Labels of a boolean may be written {false: ..., true: ...}.
            if (const std::optional<bool> boolean = parse_boolean(key->text))
                number = *boolean ? 1 : 0;
        if (!number)
            problems.error(key->place(), fmt::format("labels: {} is not a whole number", quote(key->text)));
        else if (!word->is_scalar() || word->text.empty())
            problems.error(key->place(), fmt::format("labels: {} has no word", key->text));
        else if (!numbers.insert(*number).second)
            problems.error(key->place(), fmt::format("labels: {} is given twice", key->text));
        else
            labels.emplace_back(*number, word->text);
    }
    return labels;
}

} // namespace things
