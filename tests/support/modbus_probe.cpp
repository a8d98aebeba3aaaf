// SPDX-License-Identifier: Apache-2.0
#include "support/fake_plugin_host.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iostream>

// modbus-probe: one source of the modbus plugin from the command line, for tests against programs that we
// did not write.
//   modbus-probe KEY=VALUE.. [/ KEY=VALUE..]..      the source's keys, then a point's after each slash;
//                                                   write=VALUE writes the point before it is read,
//                                                   scan=1 makes the last group the options of a scan
// Prints "INDEX VALUE" for each reading, "event CODE: TEXT", "found JSON".
namespace {

using things::FakePluginHost;

FakePluginHost::Value parse(const std::string& text) {
    const char *begin = text.data(), *end = text.data() + text.size();
    if (text == "true" || text == "false")
        return text == "true";
    std::int64_t integer = 0;
    if (const auto r = std::from_chars(begin, end, integer); r.ec == std::errc() && r.ptr == end)
        return integer;
    std::uint64_t big = 0;
    if (const auto r = std::from_chars(begin, end, big); r.ec == std::errc() && r.ptr == end)
        return big;
    double number = 0;
    if (const auto r = std::from_chars(begin, end, number); r.ec == std::errc() && r.ptr == end)
        return number;
    return text;
}

std::string print(const FakePluginHost::Value& value) {
    if (const auto* flag = std::get_if<bool>(&value))
        return *flag ? "true" : "false";
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        return std::to_string(*integer);
    if (const auto* big = std::get_if<std::uint64_t>(&value))
        return std::to_string(*big);
    if (const auto* number = std::get_if<double>(&value)) {
        char text[40];
        return {text, std::to_chars(text, text + sizeof text, *number).ptr};
    }
    return std::holds_alternative<std::string>(value) ? std::get<std::string>(value) : "nothing";
}

struct Group {
    things::FakeSettings settings;
    std::string write;
    bool scan = false;
};

void add(Group& group, const std::string& argument) {
    const std::size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals),
                      text = argument.substr(std::min(equals, argument.size() - 1) + 1);
    if (key == "write") {
        group.write = text;
    } else if (key == "scan") {
        group.scan = true;
    } else {
        const auto value = parse(text);
        if (const auto* flag = std::get_if<bool>(&value))
            group.settings.set(key, *flag);
        else if (const auto* integer = std::get_if<std::int64_t>(&value))
            group.settings.set(key, *integer);
        else if (const auto* number = std::get_if<double>(&value))
            group.settings.set(key, *number);
        else
            group.settings.set(key, text);
    }
}

int write(things::FakeSource& source, std::uint32_t point, const std::string& text) {
    const auto value = parse(text);
    if (const auto* flag = std::get_if<bool>(&value))
        return source.write(point, *flag);
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        return source.write(point, *integer);
    if (const auto* big = std::get_if<std::uint64_t>(&value))
        return source.write(point, *big);
    if (const auto* number = std::get_if<double>(&value))
        return source.write(point, *number);
    return source.write(point, text);
}

} // namespace

int main(int argc, char** argv) {
    std::vector<Group> groups(1);
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "/") == 0)
            groups.emplace_back();
        else
            add(groups.back(), argv[i]);
    }
    things::FakeConfig config;
    config.source = groups[0].settings;
    config.devices.push_back({"device", things::FakeSettings().set("gap", 0)});
    for (std::size_t i = 1; i < groups.size(); ++i)
        if (!groups[i].scan)
            config.points.push_back(
                {0, "p" + std::to_string(i - 1), groups[i].settings, !groups[i].write.empty()});
    things::FakePluginHost host;
    things::FakeSource source(*things_plugin_entry(), host, config);
    int status = source.status;
    for (std::size_t i = 1; i < groups.size() && status == THINGS_OK; ++i)
        if (!groups[i].write.empty())
            status = write(source, static_cast<std::uint32_t>(i - 1), groups[i].write);
    if (status == THINGS_OK)
        status = groups.back().scan ? source.discover(groups.back().settings) : source.poll_all();
    for (const auto& problem : host.problems)
        std::cout << "problem " << problem.key << ": " << problem.message << "\n";
    for (const auto& event : host.events)
        std::cout << "event " << event.code << ": " << event.text << "\n";
    for (const auto& line : host.found)
        std::cout << "found " << line << "\n";
    for (std::uint32_t i = 0; i < config.points.size(); ++i)
        std::cout << i << " " << print(host.last(i)) << "\n";
    return status;
}
