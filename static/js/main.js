// Everything a page's scripts do starts here. No build step: the browser loads these modules as they are.
import { startCopying } from "./copy.js";
import { startDialogs } from "./dialogs.js";
import { startHearing } from "./hear.js";
import { startLibrary } from "./library.js";
import { startLive } from "./live.js";
import { startPlayer } from "./player.js";
import { startReview } from "./review.js";
import { startRecorder } from "./recorder.js";
import { startTabs } from "./tabs.js";
import { startTheme } from "./theme.js";
import { startTimes } from "./times.js";
import { startUploads } from "./uploads.js";

startTheme();
startTabs();
startTimes();
startDialogs();
startPlayer();
startHearing();
startLive();
startLibrary();
startUploads();
startReview();
startRecorder();
startCopying();
