// SPDX-License-Identifier: Apache-2.0
#include "gateway/reload.hpp"

#include <doctest/doctest.h>

#include <future>
#include <stdexcept>

using namespace things;

namespace {

/// Runs the loop until `count` results came, or for 20 s.
void run_until(boost::asio::io_context& loop, const int& results, int count) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (results < count && std::chrono::steady_clock::now() < deadline) {
        loop.restart();
        loop.run_one_for(std::chrono::milliseconds(100));
    }
    REQUIRE(results == count);
}

} // namespace

TEST_CASE("however often a reload is asked for while one runs, one more follows") {
    boost::asio::io_context loop;
    std::promise<void> go;
    const std::shared_future<void> may_go = go.get_future().share();
    int loads = 0, results = 0; // loads: on the reload's thread, one at a time
    Reload reload(
        loop,
        [&loads, may_go] {
            may_go.wait_for(std::chrono::seconds(20));
            ++loads;
            return Reload::Result{std::nullopt, "wrong"};
        },
        [&results, &reload](const Reload::Result& result) {
            CHECK(result.refusal == "wrong");
            ++results;
            reload.finish();
        });
    for (int i = 0; i < 5; ++i)
        reload.begin();
    CHECK(reload.is_running());
    go.set_value();
    run_until(loop, results, 2);
    CHECK(loads == 2);
    CHECK_FALSE(reload.is_running());
}

TEST_CASE("a check that breaks off says nothing of the configuration") {
    boost::asio::io_context loop;
    int results = 0;
    Reload reload(
        loop, []() -> Reload::Result { throw std::runtime_error("no descriptors are left"); },
        [&results, &reload](const Reload::Result& result) {
            CHECK_FALSE(result.config);
            CHECK(result.refusal.empty());
            ++results;
            reload.finish();
        });
    reload.begin();
    run_until(loop, results, 1);
}
