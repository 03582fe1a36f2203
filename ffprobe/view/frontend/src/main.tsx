import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/rooms.css";
import { render } from "preact";
import { followRuns } from "./data/resource";
import { startTheme } from "./data/theme";
import { Shell } from "./rooms/shell";

startTheme();
document.getElementById("static")?.remove(); // the page of a report for readers without JavaScript
const app = document.getElementById("app");
if (app) {
  followRuns();
  render(<Shell />, app);
}
