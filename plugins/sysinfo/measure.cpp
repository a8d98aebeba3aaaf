// SPDX-License-Identifier: Apache-2.0
#include "sysinfo/measure.hpp"

#include <charconv>
#include <cmath>
#include <fstream>
#include <system_error>

#include <sys/statvfs.h>

namespace things {

namespace fs = std::filesystem;

namespace {

// Files of /proc and /sys do not say how long they are.
constexpr std::size_t longest_file = 64UL * 1024;

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (true) {
        const std::size_t begin = text.find_first_not_of(" \t\n:");
        if (begin == std::string_view::npos)
            return words;
        text.remove_prefix(begin);
        const std::size_t end = std::min(text.find_first_of(" \t\n:"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

template <typename Number>
std::optional<Number> parse(std::string_view text, int base = 10) {
    Number number{};
    std::from_chars_result result{};
    if constexpr (std::is_floating_point_v<Number>)
        result = std::from_chars(text.data(), text.data() + text.size(), number);
    else
        result = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size())
        return std::nullopt;
    if constexpr (std::is_floating_point_v<Number>)
        if (!std::isfinite(number)) // from_chars takes "nan"
            return std::nullopt;
    return number;
}

/// The nth word of a text as a number.
template <typename Number>
std::optional<Measure> word(std::string_view text, std::size_t index, std::string& why) {
    const auto words = words_of(text);
    const auto number = index < words.size() ? parse<Number>(words[index]) : std::nullopt;
    if (!number) {
        if (why.empty())
            why = "the kernel's answer is not understood";
        return std::nullopt;
    }
    return Measure(*number);
}

/// The number after the word `key`.
std::optional<std::uint64_t> after(std::string_view text, std::string_view key) {
    const auto words = words_of(text);
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        if (words[i] == key)
            return parse<std::uint64_t>(words[i + 1]);
    return std::nullopt;
}

} // namespace

const std::vector<Measurement>& measurements() {
    static const std::vector<Measurement> all = {
        {"cpu_temperature", "Cel", "temperature of the processor"},
        {"cpu_load", "%", "part of the processors' time in use since the last reading"},
        {"load1", "", "processes that run or wait, mean of 1 minute"},
        {"load5", "", "the same, 5 minutes"},
        {"load15", "", "the same, 15 minutes"},
        {"memory_total", "B", "memory of the machine"},
        {"memory_available", "B", "memory that programs can still get"},
        {"memory_used", "%", "part of the memory that they cannot"},
        {"swap_used", "B", "swap space in use"},
        {"disk_total", "B", "size of a file system: disk_total:/var; without a path that of /"},
        {"disk_free", "B", "what an ordinary user can still write to it"},
        {"disk_used", "%", "part of it in use"},
        {"uptime", "s", "since the machine was started"},
        {"net_received", "B", "bytes received by a network device since start: net_received:eth0"},
        {"net_sent", "B", "bytes sent by it"},
        {"net_errors", "", "errors of it, both ways"},
        {"net_up", "", "whether its link is up"},
        {"undervoltage", "", "the supply is too weak now (Raspberry Pi)"},
        {"undervoltage_seen", "", "it was so at some time since the start"},
        {"throttled", "", "the processor is slowed down now, by heat or supply"},
        {"throttled_flags", "", "all such flags of the Pi's firmware as one number"},
        {"queue_size", "B", "size of the gateway's queue: queue_size:/var/lib/kpn-things-gateway"},
        {"kernel", "", "version of the kernel"},
        {"hostname", "", "name of the machine"},
    };
    return all;
}

bool is_measurement(std::string_view what) {
    const std::string_view name = what.substr(0, what.find(':'));
    for (const Measurement& measurement : measurements())
        if (name == measurement.name)
            return true;
    return false;
}

std::string Machine::read(const std::string& path, std::string& why) const {
    std::ifstream file(root_ / fs::path(path).relative_path());
    std::string text(longest_file, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.empty())
        why = path + " cannot be read: this machine does not have it, or the service may not see it";
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

std::optional<Measure> Machine::cpu_load(std::string& why) {
    const std::string text = read("/proc/stat", why);
    const auto words = words_of(std::string_view(text).substr(0, text.find('\n')));
    std::uint64_t total = 0, idle = 0;
    for (std::size_t i = 1; i < words.size() && i <= 8; ++i) { // guest times are part of user's
        const auto ticks = parse<std::uint64_t>(words[i]);
        if (!ticks)
            return std::nullopt;
        total += *ticks;
        if (i == 4 || i == 5) // idle, iowait
            idle += *ticks;
    }
    if (words.size() < 5) {
        why = why.empty() ? "/proc/stat is not understood" : why;
        return std::nullopt;
    }
    const std::uint64_t busy = total - idle;
    const std::uint64_t spent = total - total_, used = busy - busy_;
    // iowait may decrease a little, as proc(5) says.
    const bool is_sane = total >= total_ && busy >= busy_ && spent > 0;
    total_ = total;
    busy_ = busy;
    if (!is_sane) {
        why = "too little time since the last reading";
        return std::nullopt;
    }
    return Measure(100.0 * static_cast<double>(used) / static_cast<double>(spent));
}

std::optional<Measure> Machine::memory(std::string_view name, std::string& why) const {
    const std::string text = read("/proc/meminfo", why);
    const auto total = after(text, "MemTotal"), available = after(text, "MemAvailable"),
               swap_total = after(text, "SwapTotal"), swap_free = after(text, "SwapFree");
    constexpr std::uint64_t kib = 1024;
    if (name == "swap_used" && swap_total && swap_free && *swap_total >= *swap_free)
        return Measure((*swap_total - *swap_free) * kib);
    if (name == "memory_total" && total)
        return Measure(*total * kib);
    if (name == "memory_available" && available)
        return Measure(*available * kib);
    if (name == "memory_used" && total && available && *total > 0)
        return Measure(100.0 - 100.0 * static_cast<double>(*available) / static_cast<double>(*total));
    if (why.empty())
        why = "/proc/meminfo is not understood";
    return std::nullopt;
}

std::optional<Measure> Machine::disk(std::string_view name, std::string path, std::string& why) const {
    if (path.empty())
        path = "/";
    struct statvfs status {};
    if (statvfs((root_ / fs::path(path).relative_path()).c_str(), &status) != 0) {
        why = path + ": " + std::generic_category().message(errno);
        return std::nullopt;
    }
    const std::uint64_t block = status.f_frsize;
    if (name == "disk_total")
        return Measure(std::uint64_t{status.f_blocks} * block);
    if (name == "disk_free")
        return Measure(std::uint64_t{status.f_bavail} * block);
    const std::uint64_t used = status.f_blocks - status.f_bfree, usable = used + status.f_bavail;
    return Measure(usable == 0 ? 0.0
                               : 100.0 * static_cast<double>(used) / static_cast<double>(usable)); // as df
}

std::optional<Measure> Machine::network(std::string_view name, const std::string& device,
                                        std::string& why) const {
    if (device.empty() || device.find('/') != std::string::npos || device[0] == '.') {
        why = "name the network device: " + std::string(name) + ":eth0";
        return std::nullopt;
    }
    const std::string base = "/sys/class/net/" + device + "/";
    if (name == "net_up") {
        // Drivers that cannot tell say "unknown" (loopback, tun). Such a device works.
        const std::string state = read(base + "operstate", why);
        return state.empty() ? std::nullopt : std::optional(Measure(state == "up" || state == "unknown"));
    }
    const auto count = [this, &base, &why](const char* file) -> std::optional<std::uint64_t> {
        return parse<std::uint64_t>(read(base + "statistics/" + file, why));
    };
    if (name == "net_received" || name == "net_sent") {
        const auto bytes = count(name == "net_sent" ? "tx_bytes" : "rx_bytes");
        return bytes ? std::optional(Measure(*bytes)) : std::nullopt;
    }
    const auto in = count("rx_errors"), out = count("tx_errors");
    return in && out ? std::optional(Measure(*in + *out)) : std::nullopt;
}

std::optional<Measure> Machine::throttled(std::string_view name, std::string& why) const {
    // The number that vcgencmd get_throttled prints, without that tool and its device node. Bits: 0
    // undervoltage, 1 frequency capped, 2 throttled, 3 soft temperature limit; 16 to 19: the same at any time
    // since the start.
    std::string text = read("/sys/devices/platform/soc/soc:firmware/get_throttled", why);
    const std::string_view digits = std::string_view(text).substr(text.rfind("0x", 0) == 0 ? 2 : 0);
    const auto flags = parse<std::uint64_t>(digits, 16);
    if (!flags)
        return std::nullopt;
    if (name == "throttled_flags")
        return Measure(*flags);
    const std::uint64_t mask = name == "undervoltage"        ? 1U
                               : name == "undervoltage_seen" ? 1U << 16U
                                                             : 0b1110U;
    return Measure((*flags & mask) != 0);
}

std::optional<Measure> Machine::directory_size(const std::string& path, std::string& why) const {
    std::error_code error;
    std::uint64_t size = 0;
    int count = 0;
    const fs::path place = root_ / fs::path(path).relative_path();
    for (fs::directory_iterator entry(place, error), end; !error && entry != end; entry.increment(error)) {
        std::error_code ignored; // it may vanish meanwhile
        if (entry->is_regular_file(ignored))
            if (const auto bytes = entry->file_size(ignored); !ignored)
                size += bytes;
        if (++count > 10'000)
            break;
    }
    if (error) {
        why = path + ": " + error.message();
        return std::nullopt;
    }
    return Measure(size);
}

std::optional<Measure> Machine::measure(std::string_view what, std::string& why) {
    why.clear();
    const std::size_t colon = what.find(':');
    const std::string_view name = what.substr(0, colon);
    const std::string argument(colon == std::string_view::npos ? "" : what.substr(colon + 1));
    if (name == "cpu_temperature") {
        const auto milli = word<std::int64_t>(read("/sys/class/thermal/thermal_zone0/temp", why), 0, why);
        return milli ? std::optional(Measure(static_cast<double>(std::get<std::int64_t>(*milli)) / 1000))
                     : std::nullopt;
    }
    if (name == "cpu_load")
        return cpu_load(why);
    if (name == "load1" || name == "load5" || name == "load15")
        return word<double>(read("/proc/loadavg", why), name == "load1" ? 0 : name == "load5" ? 1 : 2, why);
    if (name.rfind("memory_", 0) == 0 || name == "swap_used")
        return memory(name, why);
    if (name.rfind("disk_", 0) == 0)
        return disk(name, argument, why);
    if (name == "uptime")
        return word<double>(read("/proc/uptime", why), 0, why);
    if (name.rfind("net_", 0) == 0)
        return network(name, argument, why);
    if (name.rfind("undervoltage", 0) == 0 || name.rfind("throttled", 0) == 0)
        return throttled(name, why);
    if (name == "queue_size")
        return directory_size(argument.empty() ? "/var/lib/kpn-things-gateway" : argument, why);
    const std::string text =
        read(name == "kernel" ? "/proc/sys/kernel/osrelease" : "/proc/sys/kernel/hostname", why);
    return text.empty() ? std::nullopt : std::optional(Measure(text));
}

} // namespace things
