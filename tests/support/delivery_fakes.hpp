// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/https.hpp"
#include "model/backlog.hpp"
#include "platform/clock.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

// The world around the uploader, small and in memory: a clock that tests move, a queue, and a platform whose
// answers tests give. All on the thread of the test.
namespace things {

class ManualClock : public Clock {
public:
    [[nodiscard]] std::int64_t wall_ms() const override { return 1'700'000'000'000 + boot; }
    [[nodiscard]] std::int64_t boot_ms() const override { return boot; }
    [[nodiscard]] bool is_synchronised() const override { return true; }
    [[nodiscard]] std::string boot_id() const override { return "test"; }
    std::int64_t boot = 1'000'000;
};

/// A queue of readings by device, with the same rules as the real one: what was taken is in flight until it
/// is settled. `move_to_backlog` plays the outage.
class MemoryBacklog : public Backlog {
public:
    struct Item {
        Reading reading;
        Lane lane = Lane::live;
        std::int64_t since_ms = 0;
        bool is_in_flight = false;
    };
    explicit MemoryBacklog(const Clock& clock) : clock_(clock) {}

    std::uint64_t append(DeviceId device, Reading reading, bool is_urgent = false) {
        const std::uint64_t sequence = ++sequences_[device];
        items[device][sequence] = {std::move(reading), Lane::live, clock_.boot_ms(), false};
        urgent[device] = urgent[device] || is_urgent;
        ++appended;
        return sequence;
    }
    void move_to_backlog(DeviceId device) {
        for (auto& [sequence, item] : items[device])
            item.lane = Lane::backlog;
    }

    [[nodiscard]] Waiting waiting(DeviceId device) const override {
        Waiting waiting;
        const auto found = items.find(device);
        if (found == items.end())
            return waiting;
        for (const auto& [sequence, item] : found->second) {
            if (item.is_in_flight)
                continue;
            if (item.lane == Lane::backlog) {
                ++waiting.backlog;
                continue;
            }
            if (waiting.live++ == 0)
                waiting.live_since_ms = item.since_ms;
        }
        const auto flag = urgent.find(device);
        waiting.urgent = waiting.live > 0 && flag != urgent.end() && flag->second;
        return waiting;
    }
    void take(DeviceId device, Lane lane, std::size_t most, std::function<void(Batch)> handler) override {
        Batch batch;
        batch.device = device;
        batch.lane = lane;
        ++takes;
        if (is_unreadable)
            return handler(std::move(batch));
        for (auto& [sequence, item] : items[device]) {
            if (batch.readings.size() == most)
                break;
            if (!item.is_in_flight && item.lane == lane)
                add(batch, sequence, item);
        }
        if (lane == Lane::live)
            urgent[device] = false;
        if (is_on_flash)
            late.push_back([batch = std::move(batch), handler = std::move(handler)] { handler(batch); });
        else
            handler(std::move(batch));
    }
    /// Hands out what was taken while `is_on_flash`.
    void read_flash() {
        for (const auto& next : std::exchange(late, {}))
            next();
    }
    void take(DeviceId device, const std::vector<Span>& spans, std::function<void(Batch)> handler) override {
        Batch batch;
        batch.device = device;
        for (const Span& span : spans)
            for (auto& [sequence, item] : items[device])
                if (!item.is_in_flight && sequence >= span.first && sequence < span.last)
                    add(batch, sequence, item);
        handler(std::move(batch));
    }
    void settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                const std::string& reason) override {
        for (std::size_t i = from; i < from + count; ++i) {
            const auto found = items[batch.device].find(batch.sequence.at(i));
            if (found == items[batch.device].end() || !found->second.is_in_flight) {
                ++settled_twice;
                continue;
            }
            if (fate == Fate::kept) {
                found->second.is_in_flight = false;
                continue;
            }
            if (fate == Fate::accepted)
                accepted.push_back(found->second.reading);
            else
                dead.emplace_back(found->second.reading, reason);
            items[batch.device].erase(found);
        }
    }
    [[nodiscard]] std::size_t left() const {
        std::size_t count = 0;
        for (const auto& [device, all] : items)
            count += all.size();
        return count;
    }
    [[nodiscard]] std::size_t in_flight() const {
        std::size_t count = 0;
        for (const auto& [device, all] : items)
            count += static_cast<std::size_t>(std::count_if(
                all.begin(), all.end(), [](const auto& entry) { return entry.second.is_in_flight; }));
        return count;
    }

    std::map<DeviceId, std::map<std::uint64_t, Item>> items;
    std::map<DeviceId, bool> urgent;
    std::vector<Reading> accepted;
    std::vector<std::pair<Reading, std::string>> dead;
    std::size_t appended = 0, settled_twice = 0;
    int takes = 0;
    bool is_unreadable = false; ///< counted, and yet nothing is handed out
    bool is_on_flash = false;   ///< what is taken comes with read_flash() only
    std::vector<std::function<void()>> late;

private:
    static void add(Batch& batch, std::uint64_t sequence, Item& item) {
        item.is_in_flight = true;
        batch.sequence.push_back(sequence);
        batch.readings.push_back(item.reading);
    }
    const Clock& clock_;
    std::map<DeviceId, std::uint64_t> sequences_;
};

/// Holds posts until the test answers them.
class FakeHttps : public Https {
public:
    struct Open {
        Post post;
        Handler handler;
    };
    void post(Post post, Handler handler) override {
        bodies.push_back(post.body);
        open.push_back({std::move(post), std::move(handler)});
        most_open = std::max(most_open, open.size());
    }
    void configure(HttpsSettings) override {}
    void renew() override { ++renewals; }
    void stop(Milliseconds) override {}
    Milliseconds silence(std::int64_t) override { return {}; }

    /// Answers the oldest open post.
    void answer(Answer answer) {
        Open next = std::move(open.front());
        open.pop_front();
        next.handler(std::move(answer));
    }
    void answer(int status) {
        Answer reply;
        reply.status = status;
        reply.sent = true;
        answer(std::move(reply));
    }
    void fail(TransportError error, bool sent) {
        Answer reply;
        reply.error = error;
        reply.sent = sent;
        answer(std::move(reply));
    }

    std::deque<Open> open;
    std::vector<std::string> bodies;
    std::size_t most_open = 0;
    int renewals = 0;
};

} // namespace things
