// SPDX-License-Identifier: Apache-2.0
#include "polling/capacity.hpp"

#include "polling/plugin_directory.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

namespace things {

using namespace test;

TEST_CASE("300 sources are more than a unit with 256 tasks may have") {
    Limits limits;
    limits.whose = "the service";
    read_unit("[Service]\nMemoryMax=256M\nTasksMax=512\nLimitNOFILE=4096:8192\nTasksMax=256\n", limits);
    CHECK(limits.memory == 256U * 1024 * 1024);
    CHECK(limits.descriptors == 4096);
    Work work;
    for (int i = 0; i < 300; ++i)
        work.sources.push_back(make_work("simulated", 1, seconds(1)));
    const std::filesystem::path folder = plugin_file("simulated").parent_path();
    PluginDirectory plugins({folder}, folder, {});
    const Needs needs = needs_of(work, plugins);
    CHECK(needs.tasks > 300);
    CHECK(needs.tasks < 350);
    REQUIRE(shortages(needs, limits).size() == 1);
    CHECK(shortages(needs, limits)[0] ==
          "the sources need about 316 threads and processes, and the service may have 256: some cannot be "
          "started; raise TasksMax (systemctl edit kpn-things-gateway)");
    work.sources.resize(200);
    CHECK(shortages(needs_of(work, plugins), limits).empty());
    read_unit("TasksMax=infinity\n", limits);
    CHECK_FALSE(limits.tasks.has_value());
}

TEST_CASE("the limits of a process are found where the kernel keeps them") {
    const Limits limits = limits_of("self", "this process");
    REQUIRE(limits.descriptors.has_value());
    CHECK(*limits.descriptors > 0);
}

} // namespace things
