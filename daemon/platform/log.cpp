// SPDX-License-Identifier: Apache-2.0
#include "platform/log.hpp"

#include "platform/printable.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <sys/uio.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace things::log {

namespace {

std::atomic<Level> threshold{Level::info};
std::atomic<bool> to_journal{false};
constexpr std::size_t longest_line = 8192;

spdlog::level::level_enum spd_level(Level level) {
    switch (level) {
    case Level::debug:
        return spdlog::level::debug;
    case Level::info:
        return spdlog::level::info;
    case Level::warning:
        return spdlog::level::warn;
    case Level::error:
        return spdlog::level::err;
    }
    return spdlog::level::info;
}

int priority(Level level) {
    switch (level) {
    case Level::debug:
        return 7;
    case Level::info:
        return 6;
    case Level::warning:
        return 4;
    case Level::error:
        return 3;
    }
    return 6;
}

/// Whether stderr is the journal's stream, by the device and inode that systemd hands down (systemd.exec(5)).
bool stderr_is_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe): start-up
    struct stat file {};
    if (stream == nullptr || fstat(2, &file) != 0)
        return false;
    return fmt::format("{}:{}", file.st_dev, file.st_ino) == stream;
}

void write_journal(Level level, const std::string& message, std::initializer_list<Field> fields) {
    std::vector<std::string> text{"MESSAGE=" + message, fmt::format("PRIORITY={}", priority(level)),
                                  "SYSLOG_IDENTIFIER=kpn-things-gateway"};
    for (const auto& [name, value] : fields)
        if (!value.empty())
            text.push_back(fmt::format("THINGS_{}={}", name, printable(value)));
    std::vector<iovec> parts;
    parts.reserve(text.size());
    for (auto& t : text)
        parts.push_back({t.data(), t.size()});
    sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

} // namespace

void open(Level level) {
    threshold = level;
    to_journal = stderr_is_journal();
    auto logger = spdlog::get("gateway");
    if (!logger)
        logger = spdlog::stderr_logger_mt("gateway");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    logger->set_level(spdlog::level::debug);
    spdlog::set_default_logger(logger);
    // The threshold is ours: write() has looked at it before.
    spdlog::set_level(spdlog::level::debug);
}

void set_level(Level level) {
    threshold = level;
}

bool is_on(Level level) {
    return level >= threshold.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
    if (!is_on(level))
        return;
    // Texts of devices and plugins come through here: a line end in one would forge a record.
    const std::string line = printable(message, longest_line);
    if (to_journal)
        write_journal(level, line, fields);
    else
        spdlog::log(spd_level(level), "{}", line);
}

} // namespace things::log
