// SPDX-License-Identifier: Apache-2.0
#include "platform/log.hpp"

#include "platform/printable.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace things::log {

namespace {

std::atomic<Level> threshold{Level::info};
std::atomic<bool> to_journal{false};
constexpr std::size_t longest_line = 8192;

const char* const pattern = "%Y-%m-%dT%H:%M:%S.%e %l %v";
// What a reader that stands still may leave waiting; a burst of a healthy gateway is far smaller.
constexpr std::size_t most_lines = 10'000, most_bytes = std::size_t{1} << 20;
// How long an end, a crash, or a start-up that has much to say waits for a log that is stuck.
constexpr std::chrono::seconds patience{1};

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

std::vector<std::string> journal_fields(Level level, std::string message,
                                        std::initializer_list<Field> fields) {
    std::vector<std::string> text{"MESSAGE=" + std::move(message),
                                  fmt::format("PRIORITY={}", priority(level)),
                                  "SYSLOG_IDENTIFIER=kpn-things-gateway"};
    for (const auto& [name, value] : fields)
        if (!value.empty())
            text.push_back(fmt::format("THINGS_{}={}", name, printable(value)));
    return text;
}

bool write_journal(std::vector<std::string>& fields) {
    std::vector<iovec> parts;
    parts.reserve(fields.size());
    for (auto& field : fields)
        parts.push_back({field.data(), field.size()});
    return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) >= 0;
}

/// Blocks for as long as the reader does. False: it cannot be written, and will not be.
bool write_stderr(std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(2, text.data(), text.size());
        if (count >= 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            // Somebody who shares the pipe made it non-blocking.
            pollfd room{2, POLLOUT, 0};
            (void)::poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/// One entry of the log on its way to the thread that writes it.
struct Record {
    enum class Kind : std::uint8_t { journal, line, raw };
    Kind kind;
    Level level;
    spdlog::log_clock::time_point time;
    std::vector<std::string> fields; ///< of the journal; else one, the text
    std::uint64_t lost_before = 0;   ///< records that found no room since the one before

    [[nodiscard]] std::size_t size() const {
        std::size_t sum = sizeof *this;
        for (const std::string& field : fields)
            sum += field.size();
        return sum;
    }
};

Record make_record(Level level, std::string text, std::initializer_list<Field> fields) {
    const auto now = spdlog::log_clock::now();
    if (to_journal)
        return {Record::Kind::journal, level, now, journal_fields(level, std::move(text), fields)};
    return {Record::Kind::line, level, now, {std::move(text)}};
}

/// Writes records on a thread of its own, in their order. Of those that find no room the number is kept and
/// written where they would have stood.
class Writer {
public:
    /// Throws std::system_error if there can be no thread.
    void start() {
        std::thread([this] { run(); }).detach();
    }

    /// Never blocks. False: there was no room.
    bool put(Record record) {
        const std::size_t size = record.size();
        {
            const std::lock_guard guard(mutex_);
            // Once records are lost, half of the room must be free before one is taken again: a slow reader
            // sees few long gaps, each told once, and not a gap at every line.
            const std::size_t share = lost_ > 0 ? 2 : 1;
            if (records_.size() >= most_lines / share || bytes_ + size > most_bytes / share) {
                ++lost_;
                return false;
            }
            record.lost_before = std::exchange(lost_, 0);
            bytes_ += size;
            records_.push_back(std::move(record));
            pending_.fetch_add(1, std::memory_order_relaxed);
        }
        wake_.notify_all();
        return true;
    }

    [[nodiscard]] bool has_room() {
        const std::lock_guard guard(mutex_);
        return records_.size() < most_lines / 2 && bytes_ < most_bytes / 2;
    }

    /// Waits until everything is written, but not longer than `patience`.
    bool flush() {
        std::unique_lock lock(mutex_);
        return wake_.wait_for(lock, patience, [this] { return pending_ == 0 && lost_ == 0; });
    }

    /// Whether all is written. For a signal's handler.
    [[nodiscard]] bool is_idle() const { return pending_.load(std::memory_order_relaxed) == 0; }

private:
    [[noreturn]] void run() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr); // they are the loop's
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return !records_.empty() || lost_ > 0; });
            std::uint64_t lost = 0;
            std::optional<Record> record;
            if (records_.empty()) {
                lost = std::exchange(lost_, 0);
                pending_.fetch_add(1, std::memory_order_relaxed);
            } else {
                record = std::move(records_.front());
                records_.pop_front();
                bytes_ -= record->size();
                lost = record->lost_before;
            }
            lock.unlock();
            write_all(lost, record);
            lock.lock();
            pending_.fetch_sub(1, std::memory_order_relaxed);
            wake_.notify_all();
        }
    }

    /// What cannot be written, on a full disk say, counts as lost too, and is told with the next record.
    void write_all(std::uint64_t lost, std::optional<Record>& record) {
        lost += std::exchange(unwritten_, 0);
        if (lost > 0 && !write_lost(lost))
            unwritten_ = lost;
        if (record && !write(*record))
            ++unwritten_;
    }

    [[nodiscard]] bool write_lost(std::uint64_t count) {
        Record record = make_record(Level::warning,
                                    fmt::format("log: {} {} lost: the log was not taken fast enough", count,
                                                count == 1 ? "line" : "lines"),
                                    {});
        return write(record);
    }

    [[nodiscard]] bool write(Record& record) {
        if (record.kind == Record::Kind::journal)
            return write_journal(record.fields);
        if (record.kind == Record::Kind::raw)
            return write_stderr(record.fields.front());
        spdlog::memory_buf_t line;
        formatter_.format(
            spdlog::details::log_msg(record.time, {}, {}, spd_level(record.level), record.fields.front()),
            line);
        return write_stderr({line.data(), line.size()});
    }

    // The thread's own.
    spdlog::pattern_formatter formatter_{pattern};
    std::uint64_t unwritten_ = 0;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Record> records_;
    std::size_t bytes_ = 0;
    std::uint64_t lost_ = 0;
    std::atomic<std::size_t> pending_{0}; ///< in `records_` or being written
};

/// Null while records are written by whoever has them. Never destroyed: its thread may be stuck for longer
/// than the process shall last, and threads that are left behind at the end still have things to say.
std::atomic<Writer*> writer{nullptr};

/// What is waiting is most likely why it crashes. Plain system calls only.
void on_crash(int number) {
    const Writer* const last = writer.load();
    for (int i = 0; i < 100 && last != nullptr && !last->is_idle(); ++i) {
        const timespec moment{0, 10'000'000};
        nanosleep(&moment, nullptr);
    }
    (void)raise(number); // SA_RESETHAND: now it ends the process
}

void catch_crashes() {
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        struct sigaction action {};
        // A sanitizer's own handler stays.
        if (sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) // NOLINT: a macro
            continue;
        action.sa_handler = on_crash; // NOLINT: the system's macro
        action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
        sigaction(number, &action, nullptr);
    }
}

} // namespace

void open(Level level) {
    threshold = level;
    to_journal = stderr_is_journal();
    auto logger = spdlog::get("gateway");
    if (!logger)
        logger = spdlog::stderr_logger_mt("gateway");
    logger->set_pattern(pattern);
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
    Record record = make_record(level, printable(message, longest_line), fields);
    if (Writer* const background = writer.load())
        (void)background->put(std::move(record));
    else if (record.kind == Record::Kind::journal)
        (void)write_journal(record.fields);
    else
        spdlog::log(spd_level(level), "{}", record.fields.front());
}

void print(std::string_view text) {
    std::string line(text);
    line += '\n';
    Writer* const background = writer.load();
    if (background == nullptr) {
        (void)write_stderr(line);
        return;
    }
    if (!background->has_room())
        (void)background->flush();
    (void)background->put({Record::Kind::raw, Level::error, {}, {std::move(line)}});
}

void start() {
    if (writer.load() != nullptr)
        return;
    auto background = std::make_unique<Writer>();
    background->start();
    writer = background.release();
    catch_crashes();
}

bool flush() {
    Writer* const background = writer.load();
    return background == nullptr || background->flush();
}

} // namespace things::log
