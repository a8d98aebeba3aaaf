// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/uploader.hpp"
#include "support/delivery_fakes.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <string>
#include <vector>

// An uploader and its fakes, for tests of what is sent when.
namespace things {

/// An uploader with everything around it. Every step of time is the test's.
struct UploaderRig {
    UploaderRig() { make(); }
    void make() {
        UploadHooks hooks;
        hooks.find_series = [](SeriesId id) {
            static constexpr std::string_view names[] = {"a", "b", "c", "d"};
            return SeriesText{names[id % 4], ""};
        };
        hooks.on_answer = [this](DeviceId id, const std::string& body) {
            bodies.push_back(body);
            if (fetches)
                uploader->request_post(id);
        };
        hooks.on_broken_answer = [this](DeviceId, const std::string& reason) {
            broken.push_back(reason);
        };
        hooks.on_alarm = [this](const UploadAlarm& alarm) {
            alarms.push_back(alarm);
        };
        hooks.on_recovered = [this](const UploadAlarm& alarm) {
            recovered.push_back(alarm);
        };
        hooks.is_clock_plausible = [] {
            return true;
        };
        hooks.on_date = [this](std::int64_t date_ms, Milliseconds) {
            dates.push_back(date_ms);
        };
        hooks.random = [this] {
            return random;
        };
        uploader = std::make_unique<Uploader>(loop, clock, backlog, https, things, batch, std::move(hooks));
    }
    void add_device(DeviceId id) {
        uploader->update({id, "device" + std::to_string(id), "uuid-" + std::to_string(id), Secret("s")});
    }
    void read(DeviceId id, int count = 1, bool is_urgent = false) {
        for (int i = 0; i < count; ++i)
            backlog.append(id, {0, {clock.wall_ms() + ++times, Stamp::Clock::wall}, std::int64_t{times}},
                           is_urgent);
        uploader->notify(id);
    }
    /// Runs what is posted, and what is due at this moment.
    void run() {
        for (int i = 0; i < 5; ++i) {
            loop.restart();
            while (loop.poll() > 0) {
            }
            uploader->tick();
        }
    }
    void pass(std::int64_t ms) {
        clock.boot += ms;
        run();
    }
    void answer(int status) {
        https.answer(status);
        run();
    }
    /// Lets the platform judge all that is sent, until nothing is left open or `most` posts were judged.
    template <typename Judge>
    int serve(Judge judge, int most = 1000) {
        int count = 0;
        while (!https.open.empty() && count < most) {
            answer(judge(https.open.front().post.body));
            ++count;
        }
        return count;
    }

    boost::asio::io_context loop;
    ManualClock clock;
    MemoryBacklog backlog{clock};
    FakeHttps https;
    ThingsConfig things;
    BatchConfig batch;
    std::vector<std::string> bodies;
    std::vector<std::string> broken; ///< reasons of answers that could not be read to their end
    std::vector<UploadAlarm> alarms, recovered;
    std::vector<std::int64_t> dates; ///< what the platform's clock said
    std::unique_ptr<Uploader> uploader;
    double random = 0.5;
    bool fetches = false;
    int times = 0;
};

} // namespace things
