// SPDX-License-Identifier: Apache-2.0
#include "status/status_json.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("the status holds each device with its own points") {
    Snapshot view;
    view.version = "1.0";
    view.devices.resize(2);
    view.devices[0].name = "a";
    view.devices[1].name = "b";
    view.points.resize(3);
    view.points[0].device = "a";
    view.points[0].name = "x";
    view.points[0].value = Value{1.5};
    view.points[1].device = "b";
    view.points[1].name = "y";
    view.points[2].device = "b";
    view.points[2].name = "z";
    view.points[2].value = Value{std::string("on")};
    const std::string json = status_json(view);
    CHECK(json.find(
              R"("name":"a","dvnuuid":"","state":"","healthy":true,"waiting":0,"last_upload_ms":0,)"
              R"("last_answer":"","packs":0,"readings":0,"points":[{"name":"x","unit":"","value":1.5,)") !=
          std::string::npos);
    CHECK(json.find(R"("name":"y","unit":"","value":null)") != std::string::npos);
    CHECK(json.find(R"("name":"z","unit":"","value":"on")") != std::string::npos);
}

TEST_CASE("a chart's gaps are null") {
    CHECK(charts_json({{"queued", "readings", 120'000, {1.0, std::nullopt, 2.5}}}) ==
          R"({"charts":[{"key":"queued","unit":"readings","step_ms":120000,"values":[1,null,2.5]}]})");
}
