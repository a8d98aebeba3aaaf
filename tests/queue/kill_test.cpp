// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <csignal>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace things;

// kill -9 at any moment: a child works with a queue, writes into shared memory what it was promised, and is
// killed while opening, writing the hot log, committing, rotating or settling. Then the queue must hold what
// was promised. THINGS_KILLS sets their number (default 150), THINGS_KILL_SEED the seed.
namespace {

constexpr std::size_t devices = 4;

std::uint64_t number_of(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

/// What children noted, in memory that outlives them.
class Diary {
public:
    enum class Kind : std::uint32_t {
        safe,      ///< 100 ms have passed since its appending
        accepting, ///< about to be settled
        accepted,  ///< settle() returned
        fault      ///< the queue threw
    };
    struct Entry {
        Kind kind{};
        double value = 0;
    };

    Diary() {
        void* memory =
            ::mmap(nullptr, sizeof(Pages), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        pages_ = new (memory) Pages;
    }
    ~Diary() { ::munmap(pages_, sizeof(Pages)); }
    Diary(const Diary&) = delete;
    Diary& operator=(const Diary&) = delete;

    void note(Kind kind, double value) {
        const std::size_t n = pages_->count.load(std::memory_order_relaxed);
        if (n == pages_->entries.size())
            ::_exit(0); // enough for one life
        pages_->entries[n] = {kind, value};
        pages_->count.store(n + 1, std::memory_order_release);
    }
    void clear() { pages_->count = 0; }
    [[nodiscard]] std::size_t size() const { return pages_->count.load(std::memory_order_acquire); }
    [[nodiscard]] const Entry& operator[](std::size_t i) const { return pages_->entries[i]; }

private:
    struct Pages {
        std::atomic<std::size_t> count{0};
        std::array<Entry, 1'000'000> entries;
    };
    Pages* pages_ = nullptr;
};

/// One life of a process with a queue.
class Child {
public:
    Child(QueueRig& rig, Diary& diary, std::uint64_t seed) : rig_(rig), diary_(diary), random_(seed) {
        next_value_ = static_cast<double>(seed % 1'000'000) * 1e8;
    }

    [[noreturn]] void live() {
        rig_.open();
        for (std::size_t d = 0; d < devices; ++d)
            series_.push_back(rig_.queue->series(rig_.queue->device("device-" + std::to_string(d)), "v", ""));
        for (;;) {
            const std::uint64_t burst = below(300) == 0 ? 30'000 : below(40);
            for (std::uint64_t n = 0; n < burst; ++n)
                append();
            rig_.clock.advance(static_cast<std::int64_t>(below(60)));
            tick();
            if (below(3) == 0)
                send();
            if (below(60) == 0)
                rig_.queue->commit([](bool) {});
            rig_.loop.restart();
            rig_.loop.poll();
        }
    }

private:
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    void append() {
        next_value_ += 1;
        rig_.queue->append(rig_.reading(series_[below(devices)], next_value_), below(20) == 0);
        unsafe_.emplace_back(rig_.clock.boot, next_value_);
    }

    void tick() {
        rig_.queue->tick();
        for (; !unsafe_.empty() && unsafe_.front().first + 100 <= rig_.clock.boot; unsafe_.pop_front())
            diary_.note(Diary::Kind::safe, unsafe_.front().second);
    }

    void send() {
        const auto id = static_cast<DeviceId>(below(devices));
        const std::size_t most = 1 + static_cast<std::size_t>(below(below(20) == 0 ? 20'000 : 60));
        rig_.queue->take(id, below(2) == 0 ? Lane::live : Lane::backlog, most, [this](Batch batch) {
            if (!batch.readings.empty())
                flights_.push_back(std::move(batch));
        });
        while (!flights_.empty() && below(2) == 0) {
            const Batch batch = std::move(flights_.front());
            flights_.pop_front();
            const bool is_accepted = below(3) != 0;
            if (is_accepted)
                note(Diary::Kind::accepting, batch);
            rig_.queue->settle(batch, 0, batch.readings.size(), is_accepted ? Fate::accepted : Fate::kept,
                               "");
            if (is_accepted)
                note(Diary::Kind::accepted, batch);
        }
    }

    void note(Diary::Kind kind, const Batch& batch) {
        for (const Reading& r : batch.readings)
            diary_.note(kind, std::get<double>(r.value));
    }

    QueueRig& rig_;
    Diary& diary_;
    std::mt19937_64 random_;
    double next_value_ = 0;
    std::vector<SeriesId> series_;
    std::deque<std::pair<std::int64_t, double>> unsafe_; ///< boot time of appending, value
    std::deque<Batch> flights_;
};

/// Promises and what became of them, over all lives.
struct Findings {
    std::uint64_t kills = 0, promised = 0, lost = 0, back = 0, twice = 0, faults = 0;
};

class Campaign {
public:
    explicit Campaign(std::uint64_t seed) : random_(seed) {
        rig_.options.config.commit_interval = std::chrono::milliseconds(400);
        rig_.options.live_limit = 20;
        rig_.options.cache_limit = 4000;
        rig_.options.checkpoint_pages = 60;
    }

    Findings run(std::uint64_t kills) {
        for (std::uint64_t n = 0; n < kills; ++n) {
            live_and_die(n + 1);
            // Now and then a life follows another without a look, so that tails of several are replayed.
            if (random_() % 3 != 0 || n + 1 == kills)
                look();
        }
        found_.kills = kills;
        return found_;
    }

private:
    void live_and_die(std::uint64_t number) {
        diary_.clear();
        rig_.clock.advance(10'000'000); // later than anything in the life before
        const ::pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            try {
                rig_.loop.notify_fork(boost::asio::execution_context::fork_child);
                Child(rig_, diary_, number).live();
            } catch (...) {
                diary_.note(Diary::Kind::fault, 0);
                ::_exit(1);
            }
        }
        // No condition to wait for: the point is that nothing tells when.
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 60'000));
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        for (std::size_t i = 0; i < diary_.size(); ++i)
            read(diary_[i]);
    }

    void read(const Diary::Entry& entry) {
        State& state = states_[entry.value];
        if (entry.kind == Diary::Kind::safe)
            state.is_safe = true;
        else if (entry.kind == Diary::Kind::accepting)
            state.may_be_gone = true;
        else if (entry.kind == Diary::Kind::accepted)
            state.must_be_gone = true;
        else
            ++found_.faults;
    }

    void look() {
        rig_.open();
        std::map<double, int> there;
        std::vector<Batch> batches;
        for (DeviceId d = 0; d < rig_.queue->status().devices.size(); ++d)
            for (const Lane lane : {Lane::backlog, Lane::live})
                for (;;) {
                    Batch batch = rig_.take(d, lane, 100'000);
                    if (batch.readings.empty())
                        break;
                    for (const Reading& r : batch.readings)
                        ++there[std::get<double>(r.value)];
                    batches.push_back(std::move(batch));
                }
        for (const Batch& batch : batches)
            rig_.keep(batch);
        const QueueStatus status = rig_.queue->status();
        CHECK(status.books.queued() == status.queued);
        rig_.close();
        for (auto& [value, state] : states_) {
            const auto at = there.find(value);
            found_.promised += state.is_safe ? 1 : 0;
            found_.lost += state.is_safe && !state.may_be_gone && at == there.end() ? 1 : 0;
            found_.back += state.must_be_gone && at != there.end() ? 1 : 0;
        }
        // What is there now is promised from now on; the rest is history.
        states_.clear();
        for (const auto& [value, times] : there) {
            found_.twice += times > 1 ? 1 : 0;
            states_[value].is_safe = true;
        }
    }

    struct State {
        bool is_safe = false, may_be_gone = false, must_be_gone = false;
    };

    QueueRig rig_;
    Diary diary_;
    std::mt19937_64 random_;
    std::map<double, State> states_;
    Findings found_;
};

} // namespace

TEST_CASE("after kill -9 at any moment the queue holds what it had taken in") {
    const std::uint64_t seed = number_of("THINGS_KILL_SEED", 1);
    INFO("seed " << seed);
    log::set_level(log::Level::error);
    const Findings found = Campaign(seed).run(number_of("THINGS_KILLS", 150));
    log::set_level(log::Level::info);
    CHECK(found.promised > 1000);
    CHECK(found.lost == 0);
    CHECK(found.back == 0);
    CHECK(found.twice == 0);
    CHECK(found.faults == 0);
    MESSAGE(found.kills << " kills, " << found.promised << " readings promised");
}
