// SPDX-License-Identifier: Apache-2.0
#include "delivery/uploader.hpp"

#include "platform/log.hpp"
#include "support/delivery_fakes.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <random>

using namespace things;

namespace {

/// The numbers that a pack carries; each reading has its own.
std::set<int> values_of(const std::string& body) {
    std::set<int> values;
    for (std::size_t at = 0; (at = body.find("\"v\":", at)) != std::string::npos; ++at)
        values.insert(std::atoi(body.c_str() + at + 4));
    return values;
}

/// Plays a platform, a queue and a network at random, and checks what must hold whatever happens.
class Model {
public:
    explicit Model(unsigned seed) : random_(seed) {
        things_.parallel = 1 + static_cast<int>(pick(5));
        things_.min_interval = seconds(pick(4) == 0 ? 20 : 0);
        batch_.max_records = 1 + static_cast<int>(pick(40));
        poison_every_ = 20 + pick(200);
        UploadHooks hooks;
        hooks.find_series = [](SeriesId) {
            return SeriesText{"a", ""};
        };
        hooks.on_broken_answer = [](DeviceId, const std::string&) {
        };
        hooks.on_answer = [this](DeviceId id, const std::string&) {
            uploader_->request_post(id);
        };
        hooks.on_alarm = hooks.on_recovered = [](const UploadAlarm&) {
        };
        hooks.is_clock_plausible = [] {
            return true;
        };
        hooks.random = [this] {
            return pick(1000) / 1000.0;
        };
        uploader_ =
            std::make_unique<Uploader>(loop_, clock_, backlog_, https_, things_, batch_, std::move(hooks));
        for (DeviceId id = 0; id < devices; ++id)
            update(id, "s");
    }

    void step() {
        switch (pick(10)) {
        case 0:
        case 1:
        case 2:
            read(pick(devices));
            break;
        case 3:
            clock_.boot += pick(3) == 0 ? 60'000 : static_cast<int>(pick(2000));
            break;
        case 4:
            if (pick(20) == 0)
                backlog_.move_to_backlog(pick(devices));
            break;
        case 5:
            if (pick(50) == 0)
                uploader_->on_link_up();
            else if (pick(50) == 0)
                update(pick(devices), "s" + std::to_string(pick(3)));
            else if (pick(20) == 0)
                uploader_->request_post(pick(devices));
            break;
        default:
            if (!https_.open.empty())
                answer(pick(12));
        }
        run();
        check();
    }

    /// The platform is well again: all must leave in bounded time.
    void drain() {
        for (int i = 0; i < 2000 && backlog_.left() > 0; ++i) {
            while (!https_.open.empty()) {
                answer(11);
                run();
                check();
            }
            clock_.boot += 30'000;
            run();
        }
        CHECK(backlog_.left() == 0);
        CHECK(backlog_.accepted.size() + backlog_.dead.size() == backlog_.appended);
        CHECK(uploader_->totals().readings_accepted == backlog_.accepted.size());
        CHECK(uploader_->totals().readings_dead == backlog_.dead.size());
        for (const auto& [reading, reason] : backlog_.dead) {
            const auto value = std::get<std::int64_t>(reading.value);
            CHECK((is_poisoned(static_cast<int>(value)) || reason.find("413") != std::string::npos ||
                   refused_.count(static_cast<int>(value)) > 0));
        }
    }

private:
    static constexpr unsigned devices = 4;
    unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
    bool is_poisoned(int value) const { return value % static_cast<int>(poison_every_) == 7; }

    void update(DeviceId id, const std::string& secret) {
        uploader_->update({id, "device", "uuid-" + std::to_string(id), Secret(secret)});
    }
    void read(DeviceId id) {
        const unsigned count = 1 + pick(10);
        for (unsigned i = 0; i < count; ++i) {
            ++value_;
            backlog_.append(id, {0, {clock_.wall_ms() + value_, Stamp::Clock::wall}, std::int64_t{value_}},
                            pick(20) == 0);
        }
        uploader_->notify(id);
    }
    void run() {
        for (int i = 0; i < 3; ++i) {
            loop_.restart();
            while (loop_.poll() > 0) {
            }
            uploader_->tick();
        }
    }
    void answer(unsigned kind) {
        const std::string body = https_.open.front().post.body;
        const std::set<int> values = values_of(body);
        bool is_poisonous = false;
        for (const int value : values)
            is_poisonous = is_poisonous || is_poisoned(value);
        Answer reply;
        reply.sent = true;
        reply.status = is_poisonous ? 400 : 202;
        if (kind == 0)
            reply.status = 503;
        else if (kind == 1)
            reply.status = 401;
        else if (kind == 2 && body.size() > 400)
            reply.status = 413;
        else if (kind == 3 || kind == 4) {
            reply.status = 0;
            reply.error = kind == 3 ? TransportError::broken : TransportError::timeout;
        } else if (kind == 5) {
            reply = Answer();
            reply.error = TransportError::connect;
        } else if (kind == 6 && !is_poisonous) {
            reply.body = "[]";
        } else if (kind == 7) {
            reply = Answer();
            reply.error = TransportError::cancelled;
            reply.sent = true;
        } else if (kind == 8 && pick(4) == 0) {
            reply.status = 500;
            reply.retry_after = "30";
        } else if (kind == 9 && pick(4) == 0) {
            reply.status = 302;
        }
        const bool is_uncertain = reply.sent && (reply.status == 0 || reply.status >= 500);
        if (reply.status == 400)
            refused_.insert(values.begin(), values.end());
        for (const int value : values) {
            if (is_uncertain)
                uncertain_[value] = body;
            else if (reply.status >= 200)
                uncertain_.erase(value);
        }
        https_.answer(std::move(reply));
    }
    void check() {
        REQUIRE(backlog_.settled_twice == 0);
        REQUIRE(https_.open.size() <= static_cast<std::size_t>(things_.parallel));
        std::set<std::string> names;
        for (const auto& open : https_.open)
            names.insert(open.post.body.substr(0, open.post.body.find("\",")));
        REQUIRE(names.size() == https_.open.size()); // one post a device
        for (; checked_ < https_.bodies.size(); ++checked_) {
            const std::string& body = https_.bodies[checked_];
            REQUIRE(body.size() > 2);
            for (const int value : values_of(body)) {
                const auto found = uncertain_.find(value);
                // What may have arrived goes out again as it was, byte by byte.
                if (found != uncertain_.end())
                    REQUIRE(found->second == body);
            }
        }
    }

    std::mt19937 random_;
    boost::asio::io_context loop_;
    ManualClock clock_;
    MemoryBacklog backlog_{clock_};
    FakeHttps https_;
    ThingsConfig things_;
    BatchConfig batch_;
    std::unique_ptr<Uploader> uploader_;
    std::map<int, std::string> uncertain_; ///< readings of posts whose end nobody knows
    std::set<int> refused_;
    unsigned poison_every_ = 50;
    std::size_t checked_ = 0;
    int value_ = 0;
};

} // namespace

TEST_CASE("whatever happens nothing is lost, doubled in another form, or stuck") {
    const char* given = std::getenv("THINGS_MODEL_RUNS");
    const unsigned runs = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : 60;
    things::log::set_level(things::log::Level::error);
    for (unsigned seed = 1; seed <= runs; ++seed) {
        CAPTURE(seed);
        Model model(seed);
        for (int i = 0; i < 1500; ++i)
            model.step();
        model.drain();
    }
    things::log::set_level(things::log::Level::info);
}
