# shellcheck shell=sh
# What the commands say of themselves and of the controller. Of the configuration, what does not
# depend on how the cluster was made.
run version.squeue squeue --version
run version.sbatch sbatch --version
run version.sacct sacct --version
run version.scancel scancel --version
run version.scontrol scontrol --version
run version.sinfo sinfo --version
only '^(ClusterName|SLURM_VERSION|MinJobAge|MessageTimeout|KillWait|JobRequeue|PrivateData|JobFileAppend|EnforcePartLimits|AccountingStoreFlags|AccountingStoreJobComment|OverTimeLimit|SlurmctldTimeout|SlurmdTimeout|MaxJobCount|MaxJobId|UnkillableStepTimeout) '
run configuration scontrol show config
run configuration.cluster scontrol -M cluster show config
all
run ping scontrol ping
run nodes sinfo -h -o '%P|%a|%D|%T'
