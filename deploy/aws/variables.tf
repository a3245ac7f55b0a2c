variable "bucket" {
  description = "The bucket's name."
  type        = string
}

variable "namespace" {
  description = "The Kubernetes namespace of the release."
  type        = string
  default     = "assets"
}

variable "cluster_name" {
  description = "The EKS cluster whose pods get the roles by Pod Identity; null makes the roles alone."
  type        = string
  default     = null
}

variable "service_account_names" {
  description = "The ServiceAccounts of the two programs, as in the chart's values."
  type        = object({ service = string, reconciler = string })
  default     = { service = "assetuploader-service", reconciler = "assetuploader-reconciler" }
}

variable "upload_url_seconds" {
  description = "The longest upload URL that S3 is to accept: the chart's service.uploadUrlSeconds."
  type        = number
  default     = 900
}

variable "browser_origins" {
  description = "Where browsers upload from, as in https://app.example.com; none: no CORS."
  type        = list(string)
  default     = []
}
