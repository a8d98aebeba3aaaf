// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/queue.hpp"
#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>

namespace things {

/// A queue in a folder of its own, with a clock and a loop that the test drives.
struct QueueRig {
    TempDir folder;
    FakeClock clock;
    boost::asio::io_context loop;
    QueueOptions options;
    std::unique_ptr<Queue> queue;

    QueueRig() {
        options.config.path = folder.path() / "flash" / "queue.db";
        options.config.hot_path = folder.path() / "hot";
        options.floor_ms = 1'780'000'000'000;
    }
    void open() { queue = std::make_unique<Queue>(loop.get_executor(), clock, options); }
    void close() {
        queue.reset();
        loop.restart();
        loop.poll();
    }
    /// The process dies: what was not written to the hot log yet is kept by the destructor, so that is undone
    /// by the caller where it matters.
    void reopen() {
        close();
        open();
    }
    /// The machine loses power.
    void power_cut() {
        close();
        std::filesystem::remove_all(options.config.hot_path);
        clock.id = "boot-" + std::to_string(++boots);
        clock.boot = 1000;
        open();
    }
    void run_until(const std::function<bool()>& done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!done()) {
            if (std::chrono::steady_clock::now() > deadline)
                throw std::runtime_error("nothing happened for 20 s");
            loop.restart();
            loop.run_one_for(std::chrono::milliseconds(100));
        }
    }
    bool commit() {
        int result = -1;
        queue->commit([&result](bool ok) { result = ok ? 1 : 0; });
        run_until([&result] { return result >= 0; });
        return result == 1;
    }
    Batch take(DeviceId device, Lane lane, std::size_t most) {
        Batch out;
        bool done = false;
        queue->take(device, lane, most, [&](Batch b) {
            out = std::move(b);
            done = true;
        });
        run_until([&done] { return done; });
        return out;
    }
    void accept(const Batch& b) { queue->settle(b, 0, b.sequence.size(), Fate::accepted, ""); }
    void keep(const Batch& b) { queue->settle(b, 0, b.sequence.size(), Fate::kept, ""); }
    Reading reading(SeriesId series, double value) {
        return {series, {clock.wall, Stamp::Clock::wall}, value};
    }
    int boots = 0;
};

} // namespace things
