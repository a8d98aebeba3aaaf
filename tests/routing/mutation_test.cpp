// SPDX-License-Identifier: Apache-2.0
#include "routing/router.hpp"

#include "support/routing_site.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// Ten thousand answers that were good until somebody damaged them. The oracle knows nothing of the checker:
// whatever reaches the bus must be a value that the site's own words allow.
using namespace std::chrono_literals;
using things::Site;
using things::Value;

namespace {

const std::vector<std::string> seeds{
    R"([{"bn":"urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:"},{"n":"pump","vb":true}])",
    R"([{"bn":"urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:","bt":1700000000},{"n":"setpoint","u":"Cel","v":21.5},{"n":"mode","vs":"on"}])",
    R"([{"n":"urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:setpoint","v":2.5E1,"t":3}])",
    R"([{"n":"note","vs":"gesloten \u20ac"},{"n":"pump","v":0}])",
    R"([{"bv":10,"bu":"Cel","bver":10},{"n":"setpoint","v":5},{"n":"setpoint","v":12.25}])",
    R"([{"n":"temperature","v":20},{"n":"pump","vb":false}])",
    R"([{"n":"mode","v":1},{"n":"note","vd":"aGkgCg"}])",
    R"([{"n":"setpoint","v":30},{"n":"setpoint","v":31}])",
};

const std::vector<std::string> grafts{
    "null",
    "true",
    "-1",
    "1e999",
    "1e-999",
    "NaN",
    "Infinity",
    "99999999999999999999999",
    "-0.0",
    "\"\"",
    "[[[[[[[[[[[[[[[[[[[[",
    "]]]]",
    "{\"a\":",
    "\"n\":\"pump\",",
    "\"v\":1,",
    "\"vb\":true,",
    "\"x_\":1,",
    "\"vs\":\"off\",",
    "\"bver\":11,",
    "\"bn\":\"urn:dev:DVNUUID:00000000-0000-4000-8000-000000000000:\",",
    "\\u0000",
    "\\ud800",
    "\xff",
    "\xc0\xaf",
    "\xed\xa0\x80",
    std::string(1, '\0'),
    "30.0000001",
    "4.999999",
    ",",
    ":",
    "\"",
    "setpoint",
    "mode",
    "temperature",
    "\"t\":-1e308,",
    "\"bt\":1e308,",
    "\"u\":\"K\",",
};

class Mutator {
public:
    explicit Mutator(unsigned seed) : random_(seed) {}

    std::string next() {
        auto text = seeds[pick(seeds.size())];
        for (auto i = 1 + pick(3); i > 0; --i)
            damage(text);
        return text;
    }

private:
    std::size_t pick(std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
    }

    void damage(std::string& text) {
        const auto at = pick(text.size() + 1);
        switch (pick(10)) {
        case 0:
            text.insert(at, grafts[pick(grafts.size())]);
            break;
        case 1:
            text.erase(at, 1 + pick(8));
            break;
        case 2:
            if (at < text.size())
                text[at] = static_cast<char>(pick(256));
            break;
        case 3:
            text.insert(at, text.substr(pick(text.size() + 1), pick(40)));
            break;
        case 4:
            text.resize(at);
            break;
        case 5:
            if (pick(20) == 0)
                text.insert(at, std::string(70'000, text.front()));
            break;
        default:
            digit(text);
        }
        if (text.empty())
            text = " ";
    }

    /// Changes a number: such a pack stays well-formed, and most of what it asks is out of range.
    void digit(std::string& text) {
        std::vector<std::size_t> digits;
        for (std::size_t i = 0; i < text.size(); ++i)
            if (text[i] >= '0' && text[i] <= '9')
                digits.push_back(i);
        if (!digits.empty())
            text.insert(digits[pick(digits.size())], std::to_string(pick(1000)));
    }

    std::mt19937 random_;
};

/// In the words of the site's configuration, not of the checker.
bool may_be_written(const std::string& point, const Value& value) {
    if (point == "pump")
        return std::holds_alternative<bool>(value);
    if (point == "mode")
        return value == Value(std::int64_t{0}) || value == Value(std::int64_t{1});
    if (point == "setpoint") {
        const auto* whole = std::get_if<std::int64_t>(&value);
        const auto* number = std::get_if<double>(&value);
        return (whole != nullptr && *whole >= 5 && *whole <= 30) ||
               (number != nullptr && *number >= 5.0 && *number <= 30.0);
    }
    if (point != "note" || !std::holds_alternative<std::string>(value))
        return false;
    for (const char c : std::get<std::string>(value))
        if (c >= 0 && c < 0x20)
            return false;
    return std::get<std::string>(value).size() <= 256;
}

} // namespace

TEST_CASE("10,000 damaged answers: no write that the rules do not allow, and a reason for each refusal") {
    Mutator mutator(7);
    Site site;
    for (auto& point : site.config.devices.front().points)
        if (point.writable)
            point.writable->repeat_window = 0s;
    site.start();
    std::size_t seen = 0, written_answers = 0;
    for (int i = 0; i < 10'000; ++i) {
        const auto body = mutator.next();
        CAPTURE(body);
        site.router->on_answer("boiler", body);
        written_answers += site.bus.writes.size() > seen ? 1 : 0;
        for (; seen < site.bus.writes.size(); ++seen) {
            const auto& write = site.bus.writes[seen];
            CHECK(write.device == "boiler");
            CHECK_MESSAGE(may_be_written(write.point, write.value), write.point, " ",
                          things::FakeBus::words(write.value));
        }
        site.time.pass(61s); // what waits for its time runs or expires
    }
    for (const auto& [id, command] : site.store.commands) {
        const bool is_waiting = command.state == things::CommandState::waiting;
        CHECK((!command.verdict.empty() || is_waiting));
        CHECK(command.point.size() < 70);
        CHECK(command.verdict.size() < 400);
    }
    const auto counts = site.router->counts();
    MESSAGE("written ", written_answers, ", malformed ", counts.malformed, ", refused ", counts.refused,
            ", expired ", counts.expired, ", foreign ", counts.foreign);
    // The mutations must reach all of it, or the test says nothing.
    CHECK(written_answers > 500);
    CHECK(counts.malformed > 3000);
    CHECK(counts.refused > 500);
    CHECK(counts.foreign > 100);
    CHECK(site.router->counts().waiting <= 200);
}
